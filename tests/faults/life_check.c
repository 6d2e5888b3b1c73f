/* What must hold after each phase, seen from the API, the host and the evidence. */
#include <sqlite3.h>
#include <stdio.h>

#include "api/base/mem.h"
#include "tests/faults/kill_plan.h"
#include "tests/faults/life.h"
#include "tests/faults/starts.h"

/* libvirt cuts a domain's name, "mc-<id>", to 20 characters where it names folders. */
enum { LIBVIRT_CUT = 17 };

/* One look at the host: each line is "<kind> <text>". The gateway's own DHCP entry is the
 * network's, not an instance's. */
static const char look[] =
    "virsh -q -c qemu:///system list --all --uuid | sed '/^$/d; s/^/domain /';"
    "virsh -q -c qemu:///system list --uuid | sed '/^$/d; s/^/running /';"
    "ls /var/lib/libvirt/minicloud 2>/dev/null | sed 's/^/volume /';"
    "ls /var/log/libvirt/minicloud 2>/dev/null | sed 's/^/console /';"
    "for n in $(virsh -q -c qemu:///system net-list --name); do"
    " virsh -q -c qemu:///system net-dumpxml $n; done | grep '<host ' | grep -v \"ip='10.77.0.1'\" "
    "| sed 's/^ */dhcp /';"
    "find /etc/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /run/libvirt"
    " | sed 's/^/file /';"
    "cd /var/log/libvirt/minicloud 2>/dev/null && for f in $(ls); do"
    " echo boots $f:$(tr -cd B <$f | wc -c); done; true";

static char *look_at_host(struct life *life)
{
    const char *argv[] = {"sh", "-c", look, NULL};
    int status;
    char *text = cloud_host_output(&life->view, argv, &status);
    if (status != 0)
        cloud_fail("cannot look at the host: %s", text);
    return text;
}

/* Lines of a kind that contain `text`; the number behind the last ':' of the last in *ret_number.
 */
static int lines(const char *all, const char *kind, const char *text, long *ret_number)
{
    autofree char *copy = xstrdup(all);
    size_t len = strlen(kind);
    int count = 0;
    for (char *rest = copy, *line; (line = strsep(&rest, "\n"));) {
        if (strncmp(line, kind, len) != 0 || line[len] != ' ' || !strstr(line, text))
            continue;
        count++;
        const char *colon = strrchr(line, ':');
        if (ret_number && colon)
            *ret_number = strtol(colon + 1, NULL, 10);
    }
    return count;
}

static void check_states(struct life *life, int phase, const char *host)
{
    static const char *const wanted[] = {"running", "stopped", "running", "deleted"};
    for (int i = 0; i < LIVES; i++) {
        autofree char *path = xasprintf("/v1/instances/%s", life->ids[i]);
        struct answer auto_answer_json now = life_call(life, NULL, "GET", path, NULL);
        const char *state = answer_str(&now, "state");
        if (!state || strcmp(state, wanted[phase]) != 0)
            cloud_fail("after %s an instance is %s", phase_names[phase], now.text);
        int running = lines(host, "running", life->ids[i], NULL);
        if (running != (phase == CREATE || phase == START))
            cloud_fail("after %s the host runs %s %d times", phase_names[phase], life->ids[i],
                       running);
    }
}

/* QEMU was started once for each run that was allotted, and the guest booted at most once.
 * Of a deleted one too, up to its end: what it is known by is not removed with it. */
static void check_runs(struct life *life, int phase, const char *host)
{
    static const long runs[] = {1, 1, 2, 2};
    autofree char *seen = starts_seen(life->cloud);
    for (int i = 0; i < LIVES; i++) {
        long boots = 0, starts = lines(seen, "start", life->ids[i], NULL);
        lines(host, "boots", life->ids[i], &boots);
        for (long run = 1; run <= runs[phase]; run++) {
            autofree char *this = xasprintf("%s run %ld", life->ids[i], run);
            if (lines(seen, "start", this, NULL) != 1)
                starts = -1;
        }
        if (starts != runs[phase] || boots > runs[phase])
            cloud_fail("after %s %s had %ld runs, the guest booted %ld times, QEMU started\n%s",
                       phase_names[phase], life->ids[i], runs[phase], boots, seen);
    }
}

static void check_leftovers(struct life *life, const char *host)
{
    static const char *const kinds[] = {"domain", "volume", "console", "dhcp"};
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        for (int i = 0; i < LIVES; i++) {
            /* Nobody else is on this host, so no DHCP entry at all may be left. */
            const char *text = strcmp(kinds[k], "dhcp") == 0 ? "" : life->ids[i];
            if (lines(host, kinds[k], text, NULL) != 0)
                cloud_fail("a %s of %s is left on the host:\n%s", kinds[k], life->ids[i], host);
        }
    }
    for (int i = 0; i < LIVES; i++) {
        autofree char *start = xstrndup(life->ids[i], LIBVIRT_CUT);
        if (lines(host, "file", start, NULL) != 0)
            cloud_fail("a file of %s is left on the host:\n%s", life->ids[i], host);
    }
}

/* Evidence: a run of an instance started at one moment. (Its end may be told twice, by an agent
 * that died between writing it down and marking it as written: the first one counts.) */
static void check_evidence(struct life *life)
{
    autofree char *path = xasprintf("%s/data/minicloud.db", life->view.dir);
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    autofree char *wrong = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        cloud_fail("cannot open %s", path);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_busy_timeout(db, 5000);
    int rc = sqlite3_prepare_v2(
        db,
        "SELECT resource_id || ' run ' || run FROM observation WHERE kind = 0 "
        "GROUP BY resource_id, run HAVING max(boottime_ms) - min(boottime_ms) > 100",
        -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        wrong = xstrdup(sqlite3_errmsg(db));
    else if (sqlite3_step(stmt) == SQLITE_ROW)
        wrong = xstrdup((const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    if (wrong)
        cloud_fail("evidence of two starts of one run: %s", wrong);
}

void life_check(struct life *life, int phase)
{
    autofree char *host = look_at_host(life);
    check_states(life, phase, host);
    check_runs(life, phase, host);
    if (phase == DELETE)
        check_leftovers(life, host);
    check_evidence(life);
}
