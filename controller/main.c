/* cloud-controller: settings, signals, start and stop. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/config.h"
#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/base/notify.h"
#include "api/http/http_server.h"
#include "controller/app.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char default_config[] = "/etc/minicloud/controller.conf";

/* clang-format off */
#define AT(member) offsetof(struct settings, member)
static const struct config_field fields[] = {
    {"data_dir", CONFIG_STR, AT(data_dir), "/var/lib/minicloud/controller", 1, 4000, NULL,
     "folder of the database, the images and the first tokens"},
    {"listen", CONFIG_STR, AT(listen), "127.0.0.1:8080", 0, 255, NULL,
     "loopback address and port of the API; empty: none"},
    {"unix_socket", CONFIG_STR, AT(unix_socket), "", 0, 107, NULL,
     "path of the API's Unix socket; empty: api.sock in data_dir"},
    {"http_threads", CONFIG_INT, AT(http_threads), "1", 1, 64, NULL,
     "threads of each listener"},
    {"operation_timeout", CONFIG_SECONDS, AT(operation_timeout_ms), "300", 1, 86400, NULL,
     "seconds until an operation that did not end is called failed"},
    {"node_lease", CONFIG_SECONDS, AT(node_lease_ms), "90", 2, 86400, NULL,
     "seconds without a word from a node until it counts as silent"},
    {"event_keep", CONFIG_INT, AT(event_keep), "200000", 1000, 1000000000, NULL,
     "revisions of the event log that are kept for watchers"},
    {"seal_delay", CONFIG_SECONDS, AT(seal_delay_ms), "600", 1, 86400, NULL,
     "an hour of usage is sealed this long after its end"},
    {"audit_keep", CONFIG_SECONDS, AT(audit_keep_ms), "90d", 86400, 3153600000, NULL,
     "seconds for which it is kept who asked for what"},
    {"wal_limit", CONFIG_INT, AT(wal_limit_mib), "256", 4, 65536, NULL,
     "MiB that the database's log may take beside it; long reads give way to that"},
    {"deleted_keep", CONFIG_SECONDS, AT(deleted_keep_ms), "90d", 86400, 3153600000, NULL,
     "seconds for which what was deleted can still be shown; its usage stays"},
    {"network_cidr", CONFIG_STR, AT(network_cidr), "10.77.0.0/16", 1, 18, NULL,
     "addresses of the network that the first start makes"},
    {"currency", CONFIG_STR, AT(currency), "EUR", 3, 3, NULL,
     "ISO 4217 code of all prices; a database keeps the one of its first price"},
    {"log_level", CONFIG_ENUM, AT(log_level), "info", 0, 0, log_level_names,
     "least that is logged"},
};
/* clang-format on */

static void print_help(void)
{
    auto_buf struct buf text = {0};
    config_describe(fields, ARRAY_SIZE(fields), &text);
    printf("usage: cloud-controller [--config=FILE] [--SETTING=VALUE]...\n"
           "       cloud-controller admin-token [--data-dir=DIR]\n"
           "           a new admin token in place of the old one, while no controller runs\n"
           "       cloud-controller new-cloud [--data-dir=DIR]\n"
           "           the database is lost and there is no copy: the next start makes a new\n"
           "           one in the same folder. Image files stay (cloudctl image list --orphaned),\n"
           "           and so do the tokens in admin.token and join.token\n"
           "       cloud-controller --help | --version\n\n"
           "Settings come from flags, MINICLOUD_<SETTING>, the file (%s) and these\n"
           "defaults, in this order:\n\n%s",
           default_config, text.data ? text.data : "");
}

struct command {
    const char *config; /* NULL: the default, which may be missing */
    bool admin_token, new_cloud;
    int argc; /* what is left are settings */
    char **argv;
};

/* Takes out of argv what is no setting. 0: go on; else the exit status + 1. */
static int read_command(int argc, char **argv, struct command *ret_command)
{
    *ret_command = (struct command){.argc = 1, .argv = argv};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help();
            return 1;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("cloud-controller %s\n", MINICLOUD_VERSION);
            return 1;
        }
        if (strncmp(argv[i], "--config=", 9) == 0)
            ret_command->config = argv[i] + 9;
        else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            ret_command->config = argv[++i];
        else if (i == 1 && strcmp(argv[i], "admin-token") == 0)
            ret_command->admin_token = true;
        else if (i == 1 && strcmp(argv[i], "new-cloud") == 0)
            ret_command->new_cloud = true;
        else
            argv[ret_command->argc++] = argv[i];
    }
    return 0;
}

static int load(const struct command *command, struct settings *ret_settings, struct err *err)
{
    const char *path = command->config ? command->config : default_config;
    if (config_load(fields, ARRAY_SIZE(fields), path, command->config, command->argc, command->argv,
                    ret_settings, err) != 0)
        return -1;
    if (!*ret_settings->unix_socket) {
        free(ret_settings->unix_socket);
        ret_settings->unix_socket = NULL;
    }
    return 0;
}

static int fail(const struct err *err)
{
    fprintf(stderr, "cloud-controller: %s\n", err->msg);
    return err->code == ERR_USAGE || err->code == ERR_FIELD ? EXIT_USAGE : EXIT_FAILED;
}

static int replace_token(struct settings *settings)
{
    auto_err struct err err = {0};
    int rc = admin_token_replace(settings, &err);
    if (rc == 0)
        printf("%s/admin.token has the new admin token\n", settings->data_dir);
    settings_release(settings);
    return rc == 0 ? 0 : fail(&err);
}

static int begin_anew(struct settings *settings)
{
    auto_err struct err err = {0};
    int rc = new_cloud(settings, &err);
    if (rc == 0)
        printf("the next start makes a new cloud in %s\n", settings->data_dir);
    settings_release(settings);
    return rc == 0 ? 0 : fail(&err);
}

/* Blocked before any thread is there, so that only sigwait() below gets them. */
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int serve(struct settings *settings, const sigset_t *signals)
{
    auto_err struct err err = {0};
    struct app *app = NULL;
    int caught;
    if (app_start(settings, &app, &err) != 0)
        return fail(&err);
    log_info("started", "version=%s port=%d data_dir=\"%s\"", MINICLOUD_VERSION,
             http_server_port(app->http), app->settings.data_dir);
    notify_supervisor("READY=1");
    while (sigwait(signals, &caught) != 0)
        ;
    notify_supervisor("STOPPING=1");
    log_info("stopping", "signal=%d", caught);
    app_stop(app);
    log_info("stopped", "version=%s", MINICLOUD_VERSION);
    return 0;
}

int main(int argc, char **argv)
{
    auto_err struct err err = {0};
    struct command command;
    struct settings settings;
    sigset_t signals;
    int rc = read_command(argc, argv, &command);
    if (rc != 0)
        return rc - 1;
    failpoint_init();
    if (load(&command, &settings, &err) != 0)
        return fail(&err);
    log_set_level((enum log_level)settings.log_level);
    block_signals(&signals);
    if (command.new_cloud)
        return begin_anew(&settings);
    return command.admin_token ? replace_token(&settings) : serve(&settings, &signals);
}
