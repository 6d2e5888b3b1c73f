/* CSV, FOCUS rows, and the rules that every row of an export must hold. */
#include "tests/unit/usage_ledger.h"

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "controller/usage/csv.h"
#include "controller/usage/focus.h"
#include "tests/lib/focus_rules.h"

#define RULES "tests/data/focus-1.2.rules"

/* ---- CSV ---- */

static void test_csv__quotes_what_needs_it_and_defuses_formulas(void **state)
{
    (void)state;
    static const struct {
        const char *text, *cell;
    } cases[] = {{"web1", "web1"},
                 {"a,b", "\"a,b\""},
                 {"say \"hi\"", "\"say \"\"hi\"\"\""},
                 {"two\nlines", "\"two\nlines\""},
                 {"=1+1", "'=1+1"},
                 {"+1", "'+1"},
                 {"-1", "'-1"},
                 {"@SUM(A1)", "'@SUM(A1)"},
                 {"\tx", "'\tx"},
                 {"=HYPERLINK(\"u\",1)", "\"'=HYPERLINK(\"\"u\"\",1)\""},
                 {"", ""},
                 {NULL, ""},
                 {"a=b", "a=b"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_buf struct buf out = {0};
        struct csv csv = {.out = &out};
        buf_puts(&out, "");
        csv_text(&csv, cases[i].text);
        assert_string_equal(out.data, cases[i].cell);
    }
    auto_buf struct buf out = {0};
    struct csv csv = {.out = &out};
    csv_raw(&csv, "-5");
    csv_text(&csv, NULL);
    csv_text(&csv, "x");
    csv_line_end(&csv);
    csv_raw(&csv, "1");
    assert_string_equal(out.data, "-5,,x\r\n1");
}

/* ---- rows ---- */

static const struct price hourly = {
    .key = 1, .id = "0190-price", .meter = METER_RUNNING, .nanos = 4000000, .grain_ms = 3600000};

static struct focus_charge charge_of(void)
{
    return (struct focus_charge){
        .start_ms = at("2026-11-22T10:00:00Z"),
        .meter = METER_RUNNING,
        .used = 1800000,
        .nanos = 4000000,
        .price = &hourly,
        .currency = "EUR",
        .project_id = "0190-project",
        .project_name = "default",
        .resource_id = "0190-instance",
        .resource_name = "web1",
        .flavor_name = "small",
        .tags = "{\"team\":\"a,b\"}",
    };
}

/* The cell of one row by its name; the texts have no quoted commas before it. */
static char *cell(const struct focus_charge *charge, const char *name)
{
    auto_buf struct buf head = {0}, row = {0};
    struct csv csv = {.out = &head};
    focus_head(&csv);
    csv.out = &row;
    focus_row(&csv, charge);
    char *names = head.data, *cells = row.data;
    for (;;) {
        const char *this = strsep(&names, ",\r");
        const char *value = strsep(&cells, ",\r");
        assert_non_null(this);
        assert_non_null(value);
        if (strcmp(this, name) == 0)
            return xstrdup(value);
    }
}

static void expect_cells(const struct focus_charge *charge, const char *const (*wanted)[2])
{
    for (size_t i = 0; wanted[i][0]; i++) {
        autofree char *found = cell(charge, wanted[i][0]);
        assert_string_equal(found, wanted[i][1]);
    }
}

static void test_focus__a_started_hour_is_one_hour_at_its_price(void **state)
{
    (void)state;
    struct focus_charge charge = charge_of();
    static const char *const wanted[][2] = {
        {"BilledCost", "0.004000000"},
        {"EffectiveCost", "0.004000000"},
        {"ListUnitPrice", "0.004000000"},
        {"PricingQuantity", "1"},
        {"PricingUnit", "Hours"},
        {"ConsumedQuantity", "1800.000"},
        {"ConsumedUnit", "Seconds"},
        {"ChargePeriodStart", "2026-11-22T10:00:00Z"},
        {"ChargePeriodEnd", "2026-11-22T11:00:00Z"},
        {"BillingPeriodStart", "2026-11-01T00:00:00Z"},
        {"BillingPeriodEnd", "2026-12-01T00:00:00Z"},
        {"ChargeClass", ""},
        {"ChargeDescription", "instance web1: running at 0.004000000 EUR per hour"},
        {"SkuPriceId", "0190-price"},
        {"SubAccountName", "default"},
        {"Tags", "\"{\"\"team\"\":\"\"a"},
        {NULL, NULL}};
    expect_cells(&charge, wanted);
}

static void test_focus__a_correction_takes_back_with_its_sign(void **state)
{
    (void)state;
    struct focus_charge charge = charge_of();
    charge.correction = true;
    charge.used = -1800001;
    charge.nanos = -2000000;
    static const char *const wanted[][2] = {
        {"ChargeClass", "Correction"},     {"ChargeCategory", "Usage"},
        {"BilledCost", "-0.002000000"},    {"PricingQuantity", "-0.5"},
        {"ConsumedQuantity", "-1800.001"}, {NULL, NULL}};
    expect_cells(&charge, wanted);
}

static void test_focus__usage_without_a_price_costs_nothing_and_is_shown(void **state)
{
    (void)state;
    struct focus_charge charge = charge_of();
    charge.price = NULL;
    charge.nanos = 0;
    charge.meter = METER_RUNNING_MEMORY;
    charge.used = (quantity)1536 * HOUR_MS;
    static const char *const wanted[][2] = {
        {"BilledCost", "0.000000000"},       {"SkuPriceId", "unpriced:running_memory"},
        {"ListUnitPrice", "0.000000000"},    {"ContractedUnitPrice", "0.000000000"},
        {"PricingQuantity", "1.5"},          {"PricingUnit", "GiB-Hours"},
        {"ConsumedQuantity", "5529600.000"}, {NULL, NULL}};
    expect_cells(&charge, wanted);
}

/* ---- rules ---- */

static struct focus_rules *rules_new(void)
{
    char message[512];
    auto_buf struct buf text = {0};
    auto_err struct err err = {0};
    if (file_read(RULES, 1 << 20, &text, &err) != 0)
        fail_msg("%s", err.msg);
    struct focus_rules *rules = focus_rules_read(text.data, message, sizeof(message));
    if (!rules)
        fail_msg("%s", message);
    return rules;
}

/* Two ordinary charges and a correction, as texts that a test may change. */
static void good_sheet(struct buf *out)
{
    struct csv csv = {.out = out};
    struct focus_charge charges[] = {charge_of(), charge_of(), charge_of()};
    charges[1].start_ms += HOUR;
    charges[2].correction = true;
    charges[2].nanos = -4000000;
    charges[2].used = -1800000;
    focus_head(&csv);
    for (size_t i = 0; i < ARRAY_SIZE(charges); i++)
        focus_row(&csv, &charges[i]);
}

/* Ends of cells: commas outside quotes. */
static const char *cell_end(const char *text)
{
    bool quoted = false;
    for (; *text && (quoted || (*text != ',' && *text != '\r')); text++)
        quoted = quoted != (*text == '"');
    return text;
}

/* The sheet with other values in one row (from 1). */
static char *changed(const char *sheet, long row, const char *name, const char *value)
{
    const char *head = sheet, *line = sheet, *end;
    size_t column = 0, len = strlen(name);
    for (; strncmp(head, name, len) != 0 || (head[len] != ',' && head[len] != '\r'); column++) {
        head = cell_end(head) + 1;
        assert_true(*head && *head != '\n');
    }
    for (long i = 0; i < row; i++)
        line = strstr(line, "\r\n") + 2;
    for (; column > 0; column--)
        line = cell_end(line) + 1;
    end = cell_end(line);
    return xasprintf("%.*s%s%s", (int)(line - sheet), sheet, value, end);
}

struct change {
    const char *name, *value;
};

struct broken {
    long row;
    struct change changes[4];
    const char *rule; /* that must find it; NULL: it is right */
};

static const struct broken broken[] = {
    {1, {{"BilledCost", "4e-3"}}, "column BilledCost"},
    {1, {{"BilledCost", ""}}, "column BilledCost"},
    {1, {{"BillingCurrency", "Euro"}}, "column BillingCurrency"},
    {1, {{"ChargePeriodStart", "2026-11-22 10:00"}}, "column ChargePeriodStart"},
    {1, {{"ChargePeriodStart", "2026-11-22T11:00:00+01:00"}}, "column ChargePeriodStart"},
    {1, {{"ChargeClass", "Refund"}}, "column ChargeClass"},
    {1, {{"ChargeCategory", "Tax"}}, "column ChargeCategory"},
    {1, {{"Tags", "[]"}}, "column Tags"},
    {1, {{"ServiceSubcategory", "Virtual"}}, "column ServiceSubcategory"},
    {1, {{"PricingQuantity", ""}}, "column PricingQuantity"},
    {3, {{"PricingQuantity", ""}, {"PricingUnit", ""}}, NULL},
    {1, {{"EffectiveCost", "0.004000001"}}, "equal BilledCost EffectiveCost"},
    {1, {{"PricingCurrency", "USD"}}, "equal BillingCurrency PricingCurrency"},
    {1, {{"BillingPeriodEnd", "2026-11-01T00:00:00Z"}}, "before BillingPeriodStart"},
    {1, {{"ChargePeriodEnd", "2026-11-22T10:00:00Z"}}, "before ChargePeriodStart"},
    {1,
     {{"ChargePeriodStart", "2026-11-22T10:00:01Z"}, {"ChargePeriodEnd", "2026-11-22T11:00:01Z"}},
     "hour "},
    {1, {{"BillingPeriodStart", "2026-11-02T00:00:00Z"}}, "month "},
    {1, {{"BillingPeriodStart", "2026-11-01T01:00:00Z"}}, "month "},
    {1, {{"ChargePeriodEnd", "2026-11-22T12:00:00Z"}}, "span "},
    {1,
     {{"BillingPeriodStart", "2026-10-01T00:00:00Z"}, {"BillingPeriodEnd", "2026-11-01T00:00:00Z"}},
     "within "},
    {1,
     {{"BilledCost", "0.004"},
      {"EffectiveCost", "0.004"},
      {"ContractedCost", "0.004"},
      {"ListCost", "0.004"}},
     "places "},
    {1,
     {{"BilledCost", "-0.004000000"},
      {"EffectiveCost", "-0.004000000"},
      {"ContractedCost", "-0.004000000"},
      {"ListCost", "-0.004000000"}},
     "nonnegative BilledCost"},
    {1, {{"PricingQuantity", "1.0000002"}}, "product ContractedUnitPrice"},
    {1, {{"PricingQuantity", "1.0000001"}}, NULL}, /* less than half a nano */
    {3, {{"PricingQuantity", "17"}}, NULL},
    {3, {{"ConsumedUnit", ""}}, "together ConsumedQuantity"},
    {1, {{"SkuPriceId", ""}}, "column SkuPriceId"},
    {3, {{"ListUnitPrice", ""}, {"ContractedUnitPrice", ""}}, "column ContractedUnitPrice"},
    {1, {{"SkuPriceId", "unpriced:running"}}, "zero ListUnitPrice"},
    {1, {{"ConsumedQuantity", "0.000"}}, "positive ConsumedQuantity"},
    {3,
     {{"SkuPriceId", "unpriced:running"},
      {"ListUnitPrice", "0.000000000"},
      {"ContractedUnitPrice", "0.000000000"}},
     "zero BilledCost"},
    {2, {{"SkuId", "other"}}, "parent SkuPriceId"},
    {2, {{"ServiceCategory", "Storage"}}, "parent ServiceSubcategory"},
};

static void test_focus_rules__a_broken_row_is_found_by_its_rule(void **state)
{
    (void)state;
    char message[512];
    struct focus_rules *rules = rules_new();
    auto_buf struct buf sheet = {0};
    good_sheet(&sheet);
    if (focus_rules_check(rules, sheet.data, message, sizeof(message)) != 3)
        fail_msg("%s", message);
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        autofree char *text = xstrdup(sheet.data);
        for (size_t k = 0; k < 4 && broken[i].changes[k].name; k++) {
            char *other =
                changed(text, broken[i].row, broken[i].changes[k].name, broken[i].changes[k].value);
            free(text);
            text = other;
        }
        long rc = focus_rules_check(rules, text, message, sizeof(message));
        if (!broken[i].rule && rc != 3)
            fail_msg("%zu: %s", i, message);
        if (broken[i].rule && (rc != -1 || !strstr(message, broken[i].rule)))
            fail_msg("%zu: not found by \"%s\": %s", i, broken[i].rule, rc < 0 ? message : "-");
    }
    focus_rules_free(rules);
}

static void test_focus_rules__a_column_too_many_or_too_few_is_found(void **state)
{
    (void)state;
    char message[512];
    struct focus_rules *rules = rules_new();
    auto_buf struct buf sheet = {0};
    good_sheet(&sheet);
    static const char *const wrong[][2] = {{"ListCost", "LisCost"}, {"Tags", "x_Tags"}};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        autofree char *text = changed(sheet.data, 0, wrong[i][0], wrong[i][1]);
        assert_int_equal(focus_rules_check(rules, text, message, sizeof(message)), -1);
        assert_non_null(strstr(message, "column"));
    }
    autofree char *more = changed(sheet.data, 2, "SkuId", "running,");
    assert_int_equal(focus_rules_check(rules, more, message, sizeof(message)), -1);
    assert_non_null(strstr(message, "row 2 has"));
    assert_null(focus_rules_read("equal A\n", message, sizeof(message)));
    assert_null(focus_rules_read("same A B\n", message, sizeof(message)));
    focus_rules_free(rules);
}

/* ---- every row of random exports ---- */

static bool put_row(void *ctx, const struct usage_row *row)
{
    static const char *const instances[] = {NULL, "i1", "i2", "i3"};
    struct csv *csv = ctx;
    struct focus_charge charge = {.start_ms = row->start_ms,
                                  .meter = row->meter,
                                  .correction = row->key.correction,
                                  .used = row->used,
                                  .unverified = row->unverified,
                                  .nanos = row->nanos,
                                  .price = row->price,
                                  .currency = "EUR",
                                  .project_id = row->key.project_key == 1 ? "1" : "2",
                                  .project_name = row->key.project_key == 1 ? "one" : "two",
                                  .resource = row->key.resource,
                                  .resource_id = instances[row->key.resource_key],
                                  .resource_name = instances[row->key.resource_key],
                                  .tags = "{\"a\":\"=1\"}"};
    focus_row(csv, &charge);
    return true;
}

static void export_ledger(const struct ledger *ledger, struct buf *out)
{
    struct csv csv = {.out = out};
    struct usage_question question = {
        .from_ms = hour_floor(ledger->from_ms),
        .to_ms = hour_floor(ledger->to_ms),
        .period = USAGE_HOUR,
        .by = {USAGE_BY_PROJECT, USAGE_BY_RESOURCE, USAGE_BY_PRICE, USAGE_BY_CLASS},
        .by_count = 4,
        .meters = ((1U << METER_COUNT) - 1) & ~(1U << METER_GAP)};
    struct usage_sum *sum = usage_sum_new(&question, ledger->book, 0);
    for (size_t i = 0; i < ledger->count; i++)
        usage_sum_add(sum, &ledger->segments[i]);
    usage_sum_finish(sum);
    focus_head(&csv);
    usage_sum_rows(sum, 0, put_row, &csv);
    usage_sum_free(sum);
}

static void test_focus_rules__hold_for_every_row_of_a_thousand_ledgers(void **state)
{
    (void)state;
    char message[512];
    struct focus_rules *rules = rules_new();
    static struct ledger ledger;
    long rows = 0;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        struct dice dice = {.state = seed * 0x9e3779b97f4a7c15};
        auto_buf struct buf out = {0};
        random_ledger(&ledger, &dice);
        export_ledger(&ledger, &out);
        long count = focus_rules_check(rules, out.data, message, sizeof(message));
        if (count < 0)
            fail_msg("seed %llu: %s", (unsigned long long)seed, message);
        rows += count;
        price_book_free(ledger.book);
    }
    assert_true(rows > 20000);
    focus_rules_free(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv__quotes_what_needs_it_and_defuses_formulas),
        cmocka_unit_test(test_focus__a_started_hour_is_one_hour_at_its_price),
        cmocka_unit_test(test_focus__a_correction_takes_back_with_its_sign),
        cmocka_unit_test(test_focus__usage_without_a_price_costs_nothing_and_is_shown),
        cmocka_unit_test(test_focus_rules__a_broken_row_is_found_by_its_rule),
        cmocka_unit_test(test_focus_rules__a_column_too_many_or_too_few_is_found),
        cmocka_unit_test(test_focus_rules__hold_for_every_row_of_a_thousand_ledgers),
    };
    return cmocka_run_group_tests_name("focus", tests, NULL, NULL);
}
