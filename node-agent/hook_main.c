/* libvirt's hook for QEMU guests: writes down when a run ended, for an agent that is dead at the
 * time; see ends.h. libvirtd starts it at each turn in a guest's life and waits for it, so it is
 * quick, waits for nothing long, and succeeds whatever happens: a hook that fails at a start
 * would be taken for a refusal.
 *
 *   <hook_dir>/<name> -> <state_dir>/libvirt-hook -> this program
 *
 * so that its own first link tells where the agent's file is. Arguments: the domain's name, the
 * operation ("started", "reconnect", "stopped", ...), "begin", "end" or "-", and "-"; the
 * domain's XML comes in. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "node-agent/evidence/ends.h"
#include "node-agent/host/qemu.h"
#include "node-agent/xml/facts.h"
#include "node-agent/xml/xml.h"

enum { PATIENCE_S = 2, XML_MOST = 4 << 20, CHUNK = 16 << 10 };

static void leave(int signal)
{
    (void)signal;
    _exit(0);
}

static void never_fail(void)
{
    static const int signals[] = {SIGALRM, SIGABRT, SIGSEGV, SIGBUS, SIGPIPE, SIGTERM};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction action = {.sa_handler = leave};
        sigaction(signals[i], &action, NULL);
    }
    alarm(PATIENCE_S);
}

static bool read_xml(struct buf *out)
{
    ssize_t n;
    do {
        buf_reserve(out, CHUNK);
        n = read(STDIN_FILENO, out->data + out->len, CHUNK);
        out->len += n > 0 ? (size_t)n : 0;
    } while (n > 0 && out->len < XML_MOST);
    buf_putc(out, '\0');
    return n == 0;
}

/* A domain that is not ours has no mark. */
static bool read_domain(struct end_line *line)
{
    auto_buf struct buf text = {0};
    auto_err struct err err = {0};
    auto_xml xmlDoc *doc = NULL;
    if (!read_xml(&text) || xml_parse(text.data, &doc, &err))
        return false;
    const xmlNode *root = xmlDocGetRootElement(doc);
    const xmlNode *mark = xml_child_ns(xml_child(root, "metadata"), "instance", MARK_NAMESPACE);
    xml_content(xml_child(root, "uuid"), line->id, sizeof line->id);
    line->run = mark ? xml_attr_i64(mark, "run") : 0;
    return line->id[0] && line->run > 0;
}

/* Beside the file that our own link points to. */
static bool find_file(const char *self, char path[PATH_MAX])
{
    char target[PATH_MAX];
    ssize_t len = readlink(self, target, sizeof target - 1);
    if (len <= 0 || target[0] != '/')
        return false;
    target[len] = '\0';
    *strrchr(target, '/') = '\0';
    return snprintf(path, PATH_MAX, "%s/" ENDS_FILE, target) < PATH_MAX;
}

int main(int argc, char **argv)
{
    struct end_line line = {.boottime_ms = clock_boottime_ms()};
    char path[PATH_MAX];
    const char *operation = argc > 2 ? argv[2] : "";
    auto_err struct err err = {0};
    never_fail();
    line.off = strcmp(operation, "stopped") == 0;
    bool on = strcmp(operation, "started") == 0 || strcmp(operation, "reconnect") == 0;
    if ((!line.off && !on) || !find_file(argv[0], path) || !read_domain(&line))
        _exit(0);
    long parent = getppid();
    snprintf(line.witness, sizeof line.witness, "libvirtd:%ld:%lld", parent,
             (long long)process_start_ticks(parent));
    clock_boot_id(line.boot_id);
    /* Whoever comes later finds no line, and knows that nobody saw it. */
    ends_append(path, &line, &err);
    _exit(0);
}
