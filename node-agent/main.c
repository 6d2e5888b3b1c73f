/* cloud-node-agent: makes one host look as the controller says it should. Reads the
 * command line, starts the agent and waits for the signal to stop it. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/log.h"
#include "node-agent/agent.h"
#include "node-agent/evidence/hook.h"
#include "node-agent/settings.h"
#include "node-agent/xml/xml.h"

#define DEFAULT_CONFIG "/etc/minicloud/agent.conf"

/* Each arena keeps memory of its own; the threads here allocate little. */
enum { ARENAS = 2 };

struct command_line {
    const char *config;
    bool config_named, check, install_hook, done;
    int argc;
    char **argv; /* what is left for the settings */
};

static void print_help(void)
{
    auto_buf struct buf text = {0};
    settings_describe(&text);
    printf("usage: cloud-node-agent [--config FILE] [--key=value]... [--check]\n"
           "       cloud-node-agent --install-hook [--config FILE] [--key=value]...\n"
           "       cloud-node-agent --help | --version\n\n"
           "--check reads the settings and ends. --install-hook puts libvirt's hook in place\n"
           "and ends: for before libvirtd is started; the agent itself does it at its start.\n"
           "Settings come from flags, MINICLOUD_<KEY> in the environment, the file\n"
           "(" DEFAULT_CONFIG "), and these defaults:\n\n%s",
           text.data ? text.data : "");
}

/* Takes out what is ours; the rest are settings. */
static int read_command_line(int argc, char **argv, struct command_line *ret)
{
    *ret = (struct command_line){.config = DEFAULT_CONFIG, .argv = argv};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help();
            ret->done = true;
        } else if (strcmp(argv[i], "--version") == 0) {
            puts("cloud-node-agent " MINICLOUD_VERSION);
            ret->done = true;
        } else if (strcmp(argv[i], "--check") == 0) {
            ret->check = true;
        } else if (strcmp(argv[i], "--install-hook") == 0) {
            ret->install_hook = true;
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            ret->config = argv[i] + 9;
            ret->config_named = true;
        } else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            ret->config = argv[++i];
            ret->config_named = true;
        } else {
            ret->argv[++ret->argc] = argv[i];
        }
    }
    ret->argc++;
    ret->argv[ret->argc] = NULL;
    return 0;
}

/* Each guest takes one (exits.c), and the usual limit is a thousand. */
static void allow_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int install_hook(const struct settings *settings)
{
    auto_err struct err err = {0};
    bool changed;
    if (hook_install(settings, &changed, &err) == 0)
        return 0;
    fprintf(stderr, "cloud-node-agent: %s\n", err.msg);
    return 1;
}

int main(int argc, char **argv)
{
    static struct agent agent;
    struct command_line line;
    auto_err struct err err = {0};
    sigset_t signals;
    int signal;
    mallopt(M_ARENA_MAX, ARENAS);
    if (read_command_line(argc, argv, &line) || line.done)
        return 0;
    if (settings_load(line.config, line.config_named, line.argc, line.argv, &agent.settings,
                      &err)) {
        fprintf(stderr, "cloud-node-agent: %s\n", err.msg);
        return 2;
    }
    if (line.check || line.install_hook) {
        int status = line.install_hook ? install_hook(&agent.settings) : 0;
        settings_release(&agent.settings);
        return status;
    }
    log_set_level((enum log_level)agent.settings.log_level);
    failpoint_init();
    xml_start();
    /* Before any thread, so that all inherit it. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    umask(022);
    allow_many_files();
    if (agent_start(&agent, &err)) {
        log_error("agent.start", "error=\"%s\"", err.msg);
        return 1;
    }
    log_info("agent.started", "version=" MINICLOUD_VERSION " controller=%s libvirt=%s",
             agent.settings.controller, agent.settings.libvirt_uri);
    sigwait(&signals, &signal);
    log_info("agent.stopping", "signal=%d", signal);
    agent_stop(&agent);
    return 0;
}
