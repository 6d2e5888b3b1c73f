/* Columns of FOCUS 1.2, and what stands in them. */
#include "controller/usage/focus.h"

#include <string.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "controller/usage/csv.h"
#include "controller/usage/usage_sum.h"

#define PROVIDER "minicloud"

/* What a meter is called there. Quantities used come in seconds, CPU-seconds or bytes. */
struct sold {
    const char *service, *category, *subcategory;
    const char *consumed_unit;
    int places; /* of what is used, in that unit */
    const char *pricing_unit;
};

#define COMPUTE "Instances", "Compute", "Virtual Machines"
#define NETWORK "Network", "Networking", "Other (Networking)"
static const struct sold sold[METER_COUNT] = {
    [METER_RUNNING] = {COMPUTE, "Seconds", 3, "Hours"},
    [METER_RUNNING_VCPU] = {COMPUTE, "vCPU-Seconds", 3, "vCPU-Hours"},
    [METER_RUNNING_MEMORY] = {COMPUTE, "MiB-Seconds", 3, "GiB-Hours"},
    [METER_ALLOCATED] = {COMPUTE, "Seconds", 3, "Hours"},
    [METER_ALLOCATED_VCPU] = {COMPUTE, "vCPU-Seconds", 3, "vCPU-Hours"},
    [METER_ALLOCATED_MEMORY] = {COMPUTE, "MiB-Seconds", 3, "GiB-Hours"},
    [METER_ROOT_DISK] = {"Disks", "Storage", "Block Storage", "GiB-Seconds", 3, "GiB-Hours"},
    [METER_IMAGE] = {"Images", "Storage", "Other (Storage)", "B-Seconds", 3, "GB-Hours"},
    [METER_CPU] = {COMPUTE, "CPU-Seconds", 9, "CPU-Hours"},
    [METER_INGRESS] = {NETWORK, "B", 0, "GB"},
    [METER_EGRESS] = {NETWORK, "B", 0, "GB"},
    [METER_GAP] = {COMPUTE, "Seconds", 3, "Hours"},
};

/* ---- numbers and times ---- */

static void put_decimal(struct csv *csv, quantity value, int places)
{
    char text[QUANTITY_TEXT_MAX];
    quantity_decimal(value, places, text);
    csv_raw(csv, text);
}

static void put_time(struct csv *csv, int64_t wall_ms)
{
    char text[CLOCK_TEXT_MAX];
    clock_format(wall_ms, text);
    memcpy(strchr(text, '.'), "Z", 2); /* whole seconds */
    csv_raw(csv, text);
}

/* part / whole with 18 places, rounded to the nearest, zeroes at the end left off. */
static void put_ratio(struct csv *csv, quantity part, quantity whole)
{
    static const quantity scale = 1000000000000000000;
    char text[QUANTITY_TEXT_MAX];
    quantity size = part < 0 ? -part : part;
    quantity scaled = size / whole * scale + (size % whole * scale + whole / 2) / whole;
    quantity_decimal(part < 0 ? -scaled : scaled, 18, text);
    size_t len = strlen(text);
    while (text[len - 1] == '0')
        len--;
    text[len - (text[len - 1] == '.')] = '\0';
    csv_raw(csv, text);
}

/* ---- columns ---- */

typedef void column_put(struct csv *csv, const struct focus_charge *charge);

static void put_cost(struct csv *csv, const struct focus_charge *charge)
{
    put_decimal(csv, charge->nanos, 9);
}

static void put_unit_price(struct csv *csv, const struct focus_charge *charge)
{
    put_decimal(csv, charge->price ? charge->price->nanos : 0, 9);
}

/* What was paid for, so that it times the unit price is the cost: started hours count whole,
 * what lies above a cap not at all. Where nothing is paid, what was used. */
static void put_pricing_quantity(struct csv *csv, const struct focus_charge *charge)
{
    const struct meter_def *def = &meters[charge->meter];
    if (charge->price && charge->price->nanos > 0)
        put_ratio(csv, charge->nanos, charge->price->nanos);
    else
        put_ratio(csv, charge->used, (quantity)def->priced_unit_hi * def->priced_unit_lo);
}

static void put_provider(struct csv *csv, const struct focus_charge *charge)
{
    (void)charge;
    csv_raw(csv, PROVIDER);
}

static void put_account_type(struct csv *csv, const struct focus_charge *charge)
{
    (void)charge;
    csv_raw(csv, "Cloud");
}

static void put_currency(struct csv *csv, const struct focus_charge *charge)
{
    csv_raw(csv, charge->currency);
}

static void put_month_start(struct csv *csv, const struct focus_charge *charge)
{
    put_time(csv, month_floor(charge->start_ms));
}

static void put_month_end(struct csv *csv, const struct focus_charge *charge)
{
    put_time(csv, month_next(charge->start_ms));
}

static void put_start(struct csv *csv, const struct focus_charge *charge)
{
    put_time(csv, charge->start_ms);
}

static void put_end(struct csv *csv, const struct focus_charge *charge)
{
    put_time(csv, charge->start_ms + HOUR_MS);
}

static void put_category(struct csv *csv, const struct focus_charge *charge)
{
    (void)charge;
    csv_raw(csv, "Usage");
}

static void put_class(struct csv *csv, const struct focus_charge *charge)
{
    csv_raw(csv, charge->correction ? "Correction" : "");
}

static void put_description(struct csv *csv, const struct focus_charge *charge)
{
    char number[QUANTITY_TEXT_MAX];
    const char *name = charge->resource_name ? charge->resource_name : "?";
    autofree char *text = NULL;
    if (charge->price) {
        quantity_decimal(charge->price->nanos, 9, number);
        text = xasprintf("%s %s: %s at %s %s per %s", resource_names[charge->resource], name,
                         meters[charge->meter].name, number, charge->currency,
                         meters[charge->meter].priced);
    } else {
        text = xasprintf("%s %s: %s without a price", resource_names[charge->resource], name,
                         meters[charge->meter].name);
    }
    csv_text(csv, text);
}

static void put_frequency(struct csv *csv, const struct focus_charge *charge)
{
    (void)charge;
    csv_raw(csv, "Usage-Based");
}

static void put_consumed(struct csv *csv, const struct focus_charge *charge)
{
    put_decimal(csv, charge->used, sold[charge->meter].places);
}

static void put_consumed_unit(struct csv *csv, const struct focus_charge *charge)
{
    csv_raw(csv, sold[charge->meter].consumed_unit);
}

static void put_pricing_category(struct csv *csv, const struct focus_charge *charge)
{
    (void)charge;
    csv_raw(csv, "Standard");
}

static void put_pricing_unit(struct csv *csv, const struct focus_charge *charge)
{
    csv_raw(csv, sold[charge->meter].pricing_unit);
}

static void put_resource_id(struct csv *csv, const struct focus_charge *charge)
{
    csv_text(csv, charge->resource_id);
}

static void put_resource_name(struct csv *csv, const struct focus_charge *charge)
{
    csv_text(csv, charge->resource_name);
}

static void put_resource_type(struct csv *csv, const struct focus_charge *charge)
{
    csv_raw(csv, charge->resource == RESOURCE_IMAGE ? "Image" : "Instance");
}

static void put_service_category(struct csv *csv, const struct focus_charge *charge)
{
    csv_raw(csv, sold[charge->meter].category);
}

static void put_service(struct csv *csv, const struct focus_charge *charge)
{
    csv_raw(csv, sold[charge->meter].service);
}

static void put_service_subcategory(struct csv *csv, const struct focus_charge *charge)
{
    csv_raw(csv, sold[charge->meter].subcategory);
}

/* A price may hold for all flavors, and has one SKU: so that is the meter alone. */
static void put_sku(struct csv *csv, const struct focus_charge *charge)
{
    csv_raw(csv, meters[charge->meter].name);
}

/* The specification wants one for all usage: that without a price is sold for nothing. */
static void put_sku_price(struct csv *csv, const struct focus_charge *charge)
{
    if (charge->price) {
        csv_text(csv, charge->price->id);
        return;
    }
    autofree char *id = xasprintf("unpriced:%s", meters[charge->meter].name);
    csv_text(csv, id);
}

static void put_project_id(struct csv *csv, const struct focus_charge *charge)
{
    csv_text(csv, charge->project_id);
}

static void put_project_name(struct csv *csv, const struct focus_charge *charge)
{
    csv_text(csv, charge->project_name);
}

static void put_project_type(struct csv *csv, const struct focus_charge *charge)
{
    (void)charge;
    csv_raw(csv, "Project");
}

static void put_tags(struct csv *csv, const struct focus_charge *charge)
{
    csv_text(csv, charge->tags ? charge->tags : "{}");
}

static void put_flavor(struct csv *csv, const struct focus_charge *charge)
{
    csv_text(csv, charge->flavor_name);
}

static void put_unverified(struct csv *csv, const struct focus_charge *charge)
{
    put_decimal(csv, charge->unverified, sold[charge->meter].places);
}

/* By name, ours at the end with the prefix that the specification leaves for such. */
static const struct {
    const char *name;
    column_put *put;
} columns[] = {
    {"BilledCost", put_cost},
    {"BillingAccountId", put_provider},
    {"BillingAccountName", put_provider},
    {"BillingAccountType", put_account_type},
    {"BillingCurrency", put_currency},
    {"BillingPeriodEnd", put_month_end},
    {"BillingPeriodStart", put_month_start},
    {"ChargeCategory", put_category},
    {"ChargeClass", put_class},
    {"ChargeDescription", put_description},
    {"ChargeFrequency", put_frequency},
    {"ChargePeriodEnd", put_end},
    {"ChargePeriodStart", put_start},
    {"ConsumedQuantity", put_consumed},
    {"ConsumedUnit", put_consumed_unit},
    {"ContractedCost", put_cost},
    {"ContractedUnitPrice", put_unit_price},
    {"EffectiveCost", put_cost},
    {"InvoiceIssuerName", put_provider},
    {"ListCost", put_cost},
    {"ListUnitPrice", put_unit_price},
    {"PricingCategory", put_pricing_category},
    {"PricingCurrency", put_currency},
    {"PricingQuantity", put_pricing_quantity},
    {"PricingUnit", put_pricing_unit},
    {"ProviderName", put_provider},
    {"PublisherName", put_provider},
    {"ResourceId", put_resource_id},
    {"ResourceName", put_resource_name},
    {"ResourceType", put_resource_type},
    {"ServiceCategory", put_service_category},
    {"ServiceName", put_service},
    {"ServiceSubcategory", put_service_subcategory},
    {"SkuId", put_sku},
    {"SkuMeter", put_sku},
    {"SkuPriceId", put_sku_price},
    {"SubAccountId", put_project_id},
    {"SubAccountName", put_project_name},
    {"SubAccountType", put_project_type},
    {"Tags", put_tags},
    {"x_Flavor", put_flavor},
    {"x_UnverifiedQuantity", put_unverified},
};

void focus_head(struct csv *csv)
{
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        csv_raw(csv, columns[i].name);
    csv_line_end(csv);
}

void focus_row(struct csv *csv, const struct focus_charge *charge)
{
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        columns[i].put(csv, charge);
    csv_line_end(csv);
}
