/* The rules of a FOCUS export. Numbers are compared as integers of their digits. */
#include "tests/lib/focus_rules.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"

enum { WORDS_MAX = 16, RULES_MAX = 256, CELLS_MAX = 128, HOUR = 3600 * 1000 };

struct rule {
    char *line; /* owned; its words point into it */
    char *words[WORDS_MAX];
    size_t count;
    char *text; /* as it stands in the file */
    /* Of `parent`: pairs seen. */
    char **pairs;
    size_t pair_count;
};

struct focus_rules {
    struct rule rules[RULES_MAX];
    size_t count;
};

/* One CSV: its head, and the row at hand. */
struct sheet {
    char *text; /* owned; cells point into it */
    char *at;
    char *heads[CELLS_MAX];
    size_t head_count;
    char *cells[CELLS_MAX];
    size_t cell_count;
    long row;
};

/* ---- the rules ---- */

static bool known_rule(const struct rule *rule)
{
    static const struct {
        const char *name;
        size_t words;
    } kinds[] = {{"equal", 3},       {"before", 3}, {"hour", 2},     {"month", 2},
                 {"span", 4},        {"within", 5}, {"together", 3}, {"positive", 2},
                 {"nonnegative", 2}, {"places", 3}, {"product", 4},  {"zero", 5},
                 {"parent", 3}};
    if (strcmp(rule->words[0], "column") == 0)
        return rule->count >= 5;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (strcmp(rule->words[0], kinds[i].name) == 0)
            return rule->count == kinds[i].words;
    }
    return false;
}

static void split(struct rule *rule, const char *line)
{
    rule->text = xstrdup(line);
    rule->line = xstrdup(line);
    rule->line[strcspn(rule->line, "#")] = '\0';
    for (char *rest = rule->line, *word; (word = strsep(&rest, " \t"));) {
        if (*word && rule->count < WORDS_MAX)
            rule->words[rule->count++] = word;
    }
}

static void rule_release(struct rule *rule)
{
    for (size_t i = 0; i < rule->pair_count; i++)
        free(rule->pairs[i]);
    free(rule->pairs);
    free(rule->line);
    free(rule->text);
    *rule = (struct rule){0};
}

struct focus_rules *focus_rules_read(const char *text, char *message, size_t size)
{
    struct focus_rules *rules = xcalloc(1, sizeof(*rules));
    autofree char *copy = xstrdup(text);
    for (char *rest = copy, *line; (line = strsep(&rest, "\n"));) {
        if (rules->count == RULES_MAX) {
            snprintf(message, size, "more than %d rules", RULES_MAX);
            focus_rules_free(rules);
            return NULL;
        }
        struct rule *rule = &rules->rules[rules->count];
        split(rule, line);
        if (rule->count == 0) {
            rule_release(rule);
            continue;
        }
        rules->count++;
        if (!known_rule(rule)) {
            snprintf(message, size, "no rule: %s", line);
            focus_rules_free(rules);
            return NULL;
        }
    }
    return rules;
}

void focus_rules_free(struct focus_rules *rules)
{
    for (size_t i = 0; rules && i < rules->count; i++)
        rule_release(&rules->rules[i]);
    free(rules);
}

size_t focus_rules_count(const struct focus_rules *rules)
{
    return rules->count;
}

/* ---- CSV ---- */

/* One cell, unquoted in place; *ret_end: what ended it. */
static char *next_cell(char **at, char *ret_end)
{
    char *cell = *at, *to = *at, *from = *at;
    bool quoted = *from == '"';
    from += quoted;
    while (*from) {
        if (quoted && from[0] == '"' && from[1] != '"') {
            quoted = false;
            from++;
            continue;
        }
        if (!quoted && (*from == ',' || *from == '\r' || *from == '\n'))
            break;
        from += quoted && *from == '"';
        *to++ = *from++;
    }
    *ret_end = *from;
    if (*from == '\r')
        from++;
    *at = *from ? from + 1 : from;
    *to = '\0';
    return cell;
}

static size_t next_line(char **at, char *cells[CELLS_MAX])
{
    size_t count = 0;
    for (char end = ','; end == ',' && count < CELLS_MAX;)
        cells[count++] = next_cell(at, &end);
    return count;
}

static const char *cell_of(const struct sheet *sheet, const char *name)
{
    for (size_t i = 0; i < sheet->head_count; i++) {
        if (strcmp(sheet->heads[i], name) == 0)
            return sheet->cells[i];
    }
    return NULL;
}

/* ---- values ---- */

/* Digits and places: -12.50 is -1250 of 2. */
static bool decimal(const char *text, __int128 *ret_digits, int *ret_places)
{
    bool negative = *text == '-', any = false;
    int places = -1;
    *ret_digits = 0;
    for (text += negative; *text; text++) {
        if (*text == '.' && places < 0 && any) {
            places = 0;
        } else if (*text >= '0' && *text <= '9') {
            *ret_digits = *ret_digits * 10 + (*text - '0');
            places += places >= 0;
            any = true;
        } else {
            return false;
        }
    }
    *ret_digits = negative ? -*ret_digits : *ret_digits;
    *ret_places = places < 0 ? 0 : places;
    return any && places != 0;
}

static int sign_of(const char *text)
{
    __int128 digits = 0;
    int places;
    decimal(text, &digits, &places);
    return (digits > 0) - (digits < 0);
}

static int64_t time_of(const char *text)
{
    int64_t ms = -1;
    clock_parse(text, &ms);
    return ms;
}

static bool first_of_month(int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    return ms % 1000 == 0 && tm.tm_mday == 1 && tm.tm_hour + tm.tm_min + tm.tm_sec == 0;
}

/* a * b is c to half of c's last place. Numbers of a test's size. */
static bool is_product(const char *a, const char *b, const char *c)
{
    __int128 left, right, wanted;
    int left_places, right_places, wanted_places;
    if (!decimal(a, &left, &left_places) || !decimal(b, &right, &right_places) ||
        !decimal(c, &wanted, &wanted_places))
        return false;
    __int128 product = left * right, scale = 1;
    for (int i = wanted_places; i < left_places + right_places; i++)
        scale *= 10;
    __int128 off = product - wanted * scale;
    return (off < 0 ? -off : off) * 2 <= scale;
}

static bool is_currency(const char *text)
{
    return strlen(text) == 3 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3;
}

static bool is_json_object(const char *text)
{
    struct json auto_json *root = NULL;
    auto_err struct err err = {0};
    return json_parse(text, strlen(text), &root, &err) == 0 && json_type(root) == JSON_OBJECT;
}

static bool has_type(const char *type, const char *text)
{
    __int128 digits;
    int places;
    if (strcmp(type, "decimal") == 0)
        return decimal(text, &digits, &places);
    if (strcmp(type, "time") == 0)
        return time_of(text) >= 0 && text[strlen(text) - 1] == 'Z';
    if (strcmp(type, "currency") == 0)
        return is_currency(text);
    if (strcmp(type, "json") == 0)
        return is_json_object(text);
    return strcmp(type, "string") == 0;
}

static bool value_allowed(const struct rule *rule, const char *text)
{
    for (size_t i = 5; i < rule->count; i++) {
        const char *value = rule->words[i];
        size_t at = 0;
        while (text[at] && (text[at] == value[at] || (text[at] == ' ' && value[at] == '_')))
            at++;
        if (!text[at] && !value[at])
            return true;
    }
    return rule->count == 5;
}

/* ---- one rule on one row ---- */

static bool check_column(const struct rule *rule, const char *cell, bool correction)
{
    const char *nulls = rule->words[4];
    if (!*cell)
        return strcmp(nulls, "allowed") == 0 || (correction && strcmp(nulls, "correction") == 0);
    return has_type(rule->words[3], cell) && value_allowed(rule, cell);
}

static bool check_parent(struct rule *rule, const char *child, const char *parent)
{
    if (!*child)
        return true;
    autofree char *pair = xasprintf("%s\n%s", child, parent);
    size_t len = strlen(child) + 1;
    for (size_t i = 0; i < rule->pair_count; i++) {
        if (strncmp(rule->pairs[i], pair, len) == 0)
            return strcmp(rule->pairs[i], pair) == 0;
    }
    rule->pairs = xrealloc(rule->pairs, (rule->pair_count + 1) * sizeof(char *));
    rule->pairs[rule->pair_count++] = take(pair);
    return true;
}

static bool check_time(const struct rule *rule, const char *const cells[4])
{
    int64_t t[4] = {0};
    for (size_t i = 0; i + 1 < rule->count && i < 4 && cells[i]; i++)
        t[i] = time_of(cells[i]);
    const char *kind = rule->words[0];
    if (strcmp(kind, "before") == 0)
        return t[0] < t[1];
    if (strcmp(kind, "hour") == 0)
        return t[0] % HOUR == 0;
    if (strcmp(kind, "month") == 0)
        return first_of_month(t[0]);
    if (strcmp(kind, "span") == 0)
        return t[1] - t[0] == strtoll(rule->words[3], NULL, 10) * 1000;
    return t[2] <= t[0] && t[1] <= t[3];
}

static bool check_cells(struct rule *rule, const char *const cells[4], bool correction)
{
    const char *kind = rule->words[0];
    __int128 digits;
    int places;
    if (strcmp(kind, "column") == 0)
        return check_column(rule, cells[0], correction);
    if (strcmp(kind, "equal") == 0)
        return strcmp(cells[0], cells[1]) == 0;
    if (strcmp(kind, "together") == 0)
        return !*cells[0] == !*cells[1];
    if (strcmp(kind, "positive") == 0)
        return correction || sign_of(cells[0]) > 0;
    if (strcmp(kind, "nonnegative") == 0)
        return correction || !*cells[0] || sign_of(cells[0]) >= 0;
    if (strcmp(kind, "places") == 0)
        return decimal(cells[0], &digits, &places) &&
               places == (int)strtol(rule->words[2], NULL, 10);
    if (strcmp(kind, "product") == 0)
        return correction || !*cells[0] || is_product(cells[0], cells[1], cells[2]);
    if (strcmp(kind, "zero") == 0)
        return strncmp(cells[2], rule->words[4], strlen(rule->words[4])) != 0 ||
               sign_of(cells[0]) == 0;
    if (strcmp(kind, "parent") == 0)
        return check_parent(rule, cells[0], cells[1]);
    return check_time(rule, cells);
}

/* Which words of a rule name columns. */
static bool names_column(const struct rule *rule, size_t word)
{
    const char *kind = rule->words[0];
    if (strcmp(kind, "column") == 0 || strcmp(kind, "places") == 0)
        return word == 1;
    if (strcmp(kind, "zero") == 0)
        return word == 1 || word == 3;
    return strcmp(kind, "span") != 0 || word < 3;
}

static bool check_rule(struct rule *rule, const struct sheet *sheet, char *message, size_t size)
{
    const char *cells[4] = {0}, *class = cell_of(sheet, "ChargeClass");
    for (size_t i = 1; i < rule->count && i < 5; i++) {
        if (!names_column(rule, i))
            continue;
        cells[i - 1] = cell_of(sheet, rule->words[i]);
        if (!cells[i - 1]) {
            snprintf(message, size, "there is no column %s", rule->words[i]);
            return false;
        }
    }
    if (check_cells(rule, cells, class && strcmp(class, "Correction") == 0))
        return true;
    snprintf(message, size, "row %ld breaks \"%s\": \"%s\" \"%s\" \"%s\"", sheet->row, rule->text,
             cells[0] ? cells[0] : "", cells[1] ? cells[1] : "", cells[2] ? cells[2] : "");
    return false;
}

/* ---- all ---- */

static bool head_known(const struct focus_rules *rules, const char *name)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (strcmp(rules->rules[i].words[0], "column") == 0 &&
            strcmp(rules->rules[i].words[1], name) == 0)
            return true;
    }
    return strncmp(name, "x_", 2) == 0;
}

static bool check_head(const struct focus_rules *rules, struct sheet *sheet, char *message,
                       size_t size)
{
    for (size_t i = 0; i < sheet->head_count; i++) {
        if (head_known(rules, sheet->heads[i]))
            continue;
        snprintf(message, size, "no rule knows the column %s", sheet->heads[i]);
        return false;
    }
    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->rules[i];
        memcpy(sheet->cells, sheet->heads, sizeof(sheet->cells));
        if (strcmp(rule->words[0], "column") == 0 && !cell_of(sheet, rule->words[1])) {
            snprintf(message, size, "there is no column %s", rule->words[1]);
            return false;
        }
    }
    return true;
}

static bool check_row(struct focus_rules *rules, const struct sheet *sheet, char *message,
                      size_t size)
{
    if (sheet->cell_count != sheet->head_count) {
        snprintf(message, size, "row %ld has %zu cells, the head has %zu", sheet->row,
                 sheet->cell_count, sheet->head_count);
        return false;
    }
    for (size_t i = 0; i < rules->count; i++) {
        if (!check_rule(&rules->rules[i], sheet, message, size))
            return false;
    }
    return true;
}

static void forget(struct focus_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        struct rule *rule = &rules->rules[i];
        for (size_t k = 0; k < rule->pair_count; k++)
            free(rule->pairs[k]);
        rule->pair_count = 0;
    }
}

long focus_rules_check(struct focus_rules *rules, const char *csv, char *message, size_t size)
{
    struct sheet sheet = {.text = xstrdup(csv)};
    sheet.at = sheet.text;
    sheet.head_count = next_line(&sheet.at, sheet.heads);
    bool good = check_head(rules, &sheet, message, size);
    while (good && *sheet.at) {
        sheet.row++;
        sheet.cell_count = next_line(&sheet.at, sheet.cells);
        good = check_row(rules, &sheet, message, size);
    }
    forget(rules);
    free(sheet.text);
    return good ? sheet.row : -1;
}
