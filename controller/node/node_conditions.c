/* What a host says is amiss with it, though it works: shown of the node until it says so no more.
 * A host's word, so it is bounded, of one line, and nothing is decided by it. */
#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "controller/node/node.h"
#include "controller/placement/store_node.h"
#include "controller/tx/writer.h"

/* ---- what may be said ---- */

static bool is_code(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/* C0, DEL, and C1 as UTF-8: nothing that a terminal or a log would obey. */
static bool is_line(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0))
            return false;
    }
    return true;
}

static const struct node_condition *find(const struct node_report *report, const char *code,
                                         size_t count)
{
    const struct node_condition *items = report->conditions.items;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(items[i].code, code) == 0)
            return &items[i];
    }
    return NULL;
}

int node_check_conditions(const struct node_report *report, struct err *err)
{
    const struct node_condition *items = report->conditions.items;
    for (size_t i = 0; i < report->conditions.count; i++) {
        if (!is_code(items[i].code))
            return err_field(err, "/conditions", "conditions: a code holds a-z, 0-9 and _ only");
        if (!is_line(items[i].text))
            return err_field(err, "/conditions",
                             "conditions: the text of %s must not hold control characters",
                             items[i].code);
        if (find(report, items[i].code, i))
            return err_field(err, "/conditions", "conditions: %s is there twice", items[i].code);
    }
    return 0;
}

/* ---- taking it in ---- */

struct known {
    const struct node_report *report;
    char *gone[LIMIT_CONDITIONS]; /* codes that are not said any more; owned */
    size_t gone_count;
    bool same[LIMIT_CONDITIONS]; /* by the report's index: it is there, in these words */
};

static void look(void *ctx, const struct condition *row)
{
    struct known *known = ctx;
    const struct node_condition *items = known->report->conditions.items;
    const struct node_condition *said =
        find(known->report, row->code, known->report->conditions.count);
    if (said)
        known->same[said - items] = strcmp(said->text, row->text) == 0;
    else if (known->gone_count < LIMIT_CONDITIONS)
        known->gone[known->gone_count++] = xstrdup(row->code);
}

static void known_release(struct known *known)
{
    for (size_t i = 0; i < known->gone_count; i++)
        free(known->gone[i]);
}

static int write_changes(struct observing *o, const struct known *known, struct err *err)
{
    const struct node_condition *items = o->report->conditions.items;
    for (size_t i = 0; i < known->gone_count; i++) {
        o->node_event = true;
        if (store_condition_remove(o->tx->db, o->node_key, known->gone[i], err) != 0)
            return -1;
    }
    for (size_t i = 0; i < o->report->conditions.count; i++) {
        struct condition row = {items[i].code, items[i].text, o->tx->now_ms};
        if (known->same[i])
            continue;
        o->node_event = true;
        if (store_condition_put(o->tx->db, o->node_key, &row, err) != 0)
            return -1;
    }
    return 0;
}

int node_observe_conditions(struct observing *o, struct err *err)
{
    __attribute__((cleanup(known_release))) struct known known = {.report = o->report};
    if (store_condition_list(o->tx->db, o->node_key, look, &known, err) != 0)
        return -1;
    return write_changes(o, &known, err);
}

int node_forget_conditions(struct tx *tx, int64_t node_key, struct err *err)
{
    struct node_report none = {0};
    struct observing o = {.tx = tx, .node_key = node_key, .report = &none};
    return node_observe_conditions(&o, err);
}
