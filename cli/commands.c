/* The table of commands: every noun with its verbs and their options. Adding a
 * command is adding a row here; help and completion follow by themselves. */
#include <string.h>

#include "api/base/limits.h"
#include "api/types.h"
#include "cli/line/command.h"
#include "cli/line/moment.h"
#include "cli/verb/verbs.h"

#define MIB (1LL << 20)
#define GIB (1LL << 30)
#define HOUR_MS (3600LL * 1000)

/* clang-format off */

/* ---- options that several verbs share ---- */
#define OPT_LABEL {.name = "label", .letter = 'l', .type = OPTION_LABEL, .place = PLACE_BODY, .member = "labels", \
    .value = "NAME=VALUE", .help = "label to set; repeat for more"}
#define OPT_UNLABEL {.name = "unlabel", .type = OPTION_LIST, .value = "NAME", \
    .help = "label to remove; repeat for more"}
#define OPT_SELECT {.name = "label", .letter = 'l', .type = OPTION_LIST, .place = PLACE_QUERY, \
    .value = "NAME[=VALUE]", .help = "only those with this label; repeat to narrow"}
#define OPT_LIMIT {.name = "limit", .type = OPTION_INT, .value = "N", .help = "at most so many (default: all)", \
    .min = 1, .max = INT_MAX}
#define OPT_RENAME {.name = "name", .type = OPTION_TEXT, .place = PLACE_BODY, .value = "NAME", .help = "the new name"}
#define OPT_FORCE {.name = "force", .letter = 'f', .type = OPTION_FLAG, .place = PLACE_BODY, \
    .help = "do not ask the guest: cut its power"}
#define OPT_GRACE {.name = "grace", .type = OPTION_SECONDS, .place = PLACE_BODY, .member = "timeout_s", \
    .value = "TIME", .help = "how long the guest may take before it is forced", .min = 1, \
    .max = LIMIT_STOP_TIMEOUT_SECONDS}
#define SIZE_OPTIONS(is_required) \
    {.name = "vcpus", .type = OPTION_INT, .place = PLACE_BODY, .required = is_required, .value = "N", \
     .help = "virtual CPUs", .min = 1, .max = LIMIT_VCPUS}, \
    {.name = "memory", .type = OPTION_SIZE, .place = PLACE_BODY, .required = is_required, .member = "memory_mib", \
     .value = "SIZE", .help = "memory in MiB, or with a unit: 512M, 2G", .min = 1, .max = LIMIT_MEMORY_MIB, \
     .unit = MIB}, \
    {.name = "disk", .type = OPTION_SIZE, .place = PLACE_BODY, .required = is_required, .member = "disk_gib", \
     .value = "SIZE", .help = "root disk in GiB, or with a unit: 10G, 1T", .min = 1, .max = LIMIT_DISK_GIB, \
     .unit = GIB}

static const struct option limit_options[] = {OPT_LIMIT, {0}};
static const struct option rename_options[] = {OPT_RENAME, {0}};
static const struct option stop_options[] = {OPT_FORCE, OPT_GRACE, {0}};

/* ---- verbs that most nouns have ---- */
#define LIST(text, filters) {.name = "list", .summary = text, .flags = VERB_OUTPUT, .options = filters, .run = run_list}
#define SHOW(text) {.name = "show", .targets = "NAME...", .min_targets = 1, .max_targets = MANY, .summary = text, \
    .flags = VERB_OUTPUT | VERB_DETAIL, .run = run_show}
#define DELETE(text, runner) {.name = "delete", .targets = "NAME...", .min_targets = 1, .max_targets = MANY, \
    .summary = text, .flags = VERB_CONFIRM, .run = runner}
#define ONE_NEW .targets = "NAME", .min_targets = 1, .max_targets = 1
#define ONE .targets = "NAME", .min_targets = 1, .max_targets = 1
#define SOME .targets = "NAME...", .min_targets = 1, .max_targets = MANY

/* ---- instance ---- */
static const struct option instance_filters[] = {
    {.name = "state", .type = OPTION_CHOICE, .place = PLACE_QUERY, .value = "STATE", .help = "only those in this state",
     .choices = state_names},
    {.name = "node", .type = OPTION_TEXT, .place = PLACE_QUERY, .value = "NODE", .help = "only those on this node",
     .noun = "node"},
    {.name = "image", .type = OPTION_TEXT, .place = PLACE_QUERY, .value = "IMAGE",
     .help = "only those made from this image", .noun = "image"},
    OPT_SELECT, OPT_LIMIT, {0}};
static const struct option instance_create_options[] = {
    {.name = "image", .type = OPTION_TEXT, .place = PLACE_BODY, .required = true, .value = "IMAGE",
     .help = "what its disk starts as", .noun = "image"},
    {.name = "flavor", .type = OPTION_TEXT, .place = PLACE_BODY, .value = "FLAVOR",
     .help = "its size; or say all three of:", .noun = "flavor"},
    SIZE_OPTIONS(false),
    {.name = "key", .type = OPTION_LIST, .place = PLACE_BODY, .member = "keys", .value = "KEY",
     .help = "SSH key to let in; repeat for more", .noun = "key"},
    {.name = "user-data", .type = OPTION_CONTENT, .place = PLACE_BODY, .member = "user_data", .value = "FILE",
     .help = "cloud-init user data; - reads standard input", .max = LIMIT_USER_DATA},
    {.name = "hostname", .type = OPTION_TEXT, .place = PLACE_BODY, .value = "HOST",
     .help = "its own host name (default: its name)"},
    OPT_LABEL,
    {.name = "stopped", .type = OPTION_FLAG, .place = PLACE_BODY, .member = "power", .fixed = "\"stopped\"",
     .help = "make it, but do not start it"},
    {0}};
static const struct option instance_update_options[] = {
    OPT_RENAME, OPT_LABEL, OPT_UNLABEL,
    {.name = "hostname", .type = OPTION_TEXT, .place = PLACE_BODY, .value = "HOST",
     .help = "its host name, seen by the guest's next start"}, {0}};
static const struct option resize_options[] = {
    {.name = "flavor", .type = OPTION_TEXT, .place = PLACE_BODY, .value = "FLAVOR", .help = "its new size; or any of:",
     .noun = "flavor"},
    SIZE_OPTIONS(false), {0}};
static const struct option rebuild_options[] = {
    {.name = "image", .type = OPTION_TEXT, .place = PLACE_BODY, .value = "IMAGE",
     .help = "another image (default: the one it was made from)", .noun = "image"}, {0}};
static const struct option log_options[] = {
    {.name = "bytes", .letter = 'n', .type = OPTION_INT, .place = PLACE_QUERY, .value = "N",
     .help = "how much of the end (default: 64 KiB)", .min = 1, .max = LIMIT_CONSOLE_BYTES}, {0}};

static const struct verb instance_verbs[] = {
    LIST("List instances", instance_filters),
    SHOW("Show all about instances"),
    {.name = "create", SOME, .summary = "Make instances and start them", .flags = VERB_OUTPUT | VERB_WAIT | VERB_NEW,
     .options = instance_create_options, .run = run_create,
     .example = "web1 --flavor small --image tiny --key me \\\n      --user-data ./boot.sh"},
    {.name = "update", ONE, .summary = "Rename or relabel an instance", .flags = VERB_OUTPUT | VERB_QUIET,
     .options = instance_update_options, .run = run_update,
     .example = "web1 --name web2 --label tier=front --unlabel old"},
    {.name = "start", SOME, .summary = "Start instances", .flags = VERB_OUTPUT | VERB_WAIT | VERB_QUIET,
     .run = run_action},
    {.name = "stop", SOME, .summary = "Ask guests to power off; force them after a while",
     .flags = VERB_OUTPUT | VERB_WAIT | VERB_QUIET, .options = stop_options, .run = run_action,
     .example = "web1 web2 --grace 30s"},
    {.name = "reboot", SOME, .summary = "Ask guests to restart; force them after a while",
     .flags = VERB_OUTPUT | VERB_WAIT | VERB_QUIET, .options = stop_options, .run = run_action},
    {.name = "resize", ONE, .summary = "Give a stopped instance another size",
     .flags = VERB_OUTPUT | VERB_WAIT | VERB_QUIET, .options = resize_options, .run = run_action,
     .example = "web1 --flavor large", .notes = "A disk can grow, not shrink."},
    {.name = "rebuild", SOME, .summary = "Start again from an image: the disk is lost",
     .flags = VERB_OUTPUT | VERB_WAIT | VERB_QUIET | VERB_CONFIRM, .options = rebuild_options, .run = run_action},
    {.name = "delete", SOME, .summary = "Delete instances and their disks", .flags = VERB_WAIT | VERB_CONFIRM,
     .run = run_delete, .example = "web1 web2 --yes"},
    {.name = "log", ONE, .summary = "Print the end of the serial console's log", .options = log_options, .run = run_log,
     .notes = "On a terminal, control bytes that the guest wrote are left out."},
    {0}};

/* ---- image ---- */
static const struct option image_filters[] = {OPT_SELECT, OPT_LIMIT,
    {.name = "orphaned", .type = OPTION_FLAG, .help = "files that no image has, instead (operators)"}, {0}};
static const struct option orphan_delete_options[] = {
    {.name = "all", .type = OPTION_FLAG, .help = "every file that image list --orphaned shows"}, {0}};
static const struct option orphan_import_options[] = {
    {.name = "name", .type = OPTION_TEXT, .place = PLACE_BODY, .value = "NAME",
     .help = "the image's name (default: the one it had)"},
    {.name = "format", .type = OPTION_CHOICE, .place = PLACE_BODY, .value = "FORMAT",
     .help = "raw or qcow2 (default: what it had)", .choices = format_names}, {0}};
#define OPT_PUBLIC_VALUE {.name = "public", .type = OPTION_YES_NO, .place = PLACE_BODY, .value = "yes|no", \
    .help = "whether all projects may use it"}
static const struct option image_create_options[] = {
    {.name = "file", .letter = 'f', .type = OPTION_FILE, .value = "FILE",
     .help = "upload this file; without it, use image upload"},
    {.name = "format", .type = OPTION_CHOICE, .place = PLACE_BODY, .value = "FORMAT",
     .help = "raw or qcow2 (default: as the file looks)", .choices = format_names},
    {.name = "sha256", .type = OPTION_TEXT, .place = PLACE_BODY, .value = "HEX",
     .help = "what the file's SHA-256 must be"},
    {.name = "public", .type = OPTION_FLAG, .place = PLACE_BODY, .help = "all projects may use it"},
    OPT_LABEL, {0}};
static const struct option image_upload_options[] = {
    {.name = "file", .letter = 'f', .type = OPTION_FILE, .required = true, .value = "FILE",
     .help = "the file to upload"}, {0}};
static const struct option image_download_options[] = {
    {.name = "file", .letter = 'f', .type = OPTION_FILE, .value = "FILE",
     .help = "where to (default: standard output)"}, {0}};
static const struct option image_update_options[] = {OPT_RENAME, OPT_PUBLIC_VALUE, OPT_LABEL, OPT_UNLABEL, {0}};

static const struct verb image_verbs[] = {
    {.name = "list", .summary = "List images", .flags = VERB_OUTPUT, .options = image_filters, .run = run_image_list},
    SHOW("Show all about images"),
    {.name = "create", ONE_NEW, .summary = "Make an image and upload its content", .flags = VERB_OUTPUT | VERB_NEW,
     .options = image_create_options, .run = run_image_create,
     .example = "tiny --file tiny.qcow2"},
    {.name = "upload", ONE, .summary = "Upload the content of an image that has none yet",
     .flags = VERB_OUTPUT | VERB_QUIET, .options = image_upload_options, .run = run_image_upload},
    {.name = "download", ONE, .summary = "Fetch an image's content", .options = image_download_options,
     .run = run_image_download},
    {.name = "update", ONE, .summary = "Rename, relabel or share an image", .flags = VERB_OUTPUT | VERB_QUIET,
     .options = image_update_options, .run = run_update},
    DELETE("Delete images that no instance uses", run_delete),
    {.name = "import", .targets = "FILE", .min_targets = 1, .max_targets = 1,
     .summary = "Make a file that lost its image an image again", .flags = VERB_OUTPUT | VERB_NEW,
     .options = orphan_import_options, .run = run_orphan_import,
     .notes = "After an older copy of the database was put back, newer images are still there\n"
         "as files: image list --orphaned shows them. The content is checked against the\n"
         "SHA-256 that was kept beside the file, and the image gets its old id."},
    {.name = "delete-orphaned", .targets = "[FILE...]", .max_targets = MANY,
     .summary = "Delete files that no image has", .flags = VERB_CONFIRM, .options = orphan_delete_options,
     .run = run_orphan_delete},
    {0}};

/* ---- flavor, key ---- */
static const struct option flavor_create_options[] = {SIZE_OPTIONS(true), {0}};
static const struct verb flavor_verbs[] = {
    LIST("List flavors, the sizes an instance can have", limit_options),
    SHOW("Show all about flavors"),
    {.name = "create", ONE_NEW, .summary = "Make a flavor", .flags = VERB_OUTPUT | VERB_NEW,
     .options = flavor_create_options, .run = run_create,
     .example = "small --vcpus 1 --memory 512M --disk 5G"},
    DELETE("Delete flavors; instances keep their size", run_delete),
    {0}};

static const struct option key_create_options[] = {
    {.name = "file", .letter = 'f', .type = OPTION_LINE, .place = PLACE_BODY, .required = true, .member = "public_key",
     .value = "FILE", .help = "an OpenSSH public key; - reads standard input", .max = LIMIT_PUBLIC_KEY}, {0}};
static const struct verb key_verbs[] = {
    LIST("List SSH public keys", limit_options),
    SHOW("Show all about keys"),
    {.name = "create", ONE_NEW, .summary = "Keep an SSH public key for new instances", .flags = VERB_OUTPUT | VERB_NEW,
     .options = key_create_options, .run = run_create,
     .example = "me --file ~/.ssh/id_ed25519.pub"},
    {.name = "update", ONE, .summary = "Rename a key", .flags = VERB_OUTPUT | VERB_QUIET, .options = rename_options,
     .run = run_update},
    DELETE("Delete keys; instances that have them keep them", run_delete),
    {0}};

/* ---- node, network ---- */
static const struct option node_update_options[] = {
    {.name = "schedulable", .type = OPTION_YES_NO, .place = PLACE_BODY, .required = true, .value = "yes|no",
     .help = "whether new instances may go there"}, {0}};
static const struct option node_delete_options[] = {
    {.name = "force", .type = OPTION_FLAG, .place = PLACE_QUERY,
     .help = "declare the instances that were there gone, too"}, {0}};
static const struct verb node_verbs[] = {
    LIST("List nodes, the hosts that guests run on", limit_options),
    SHOW("Show all about nodes"),
    {.name = "update", SOME, .summary = "Let new instances go to nodes, or keep them away",
     .flags = VERB_OUTPUT | VERB_QUIET, .options = node_update_options, .run = run_update,
     .example = "host3 --schedulable no"},
    {.name = "delete", SOME, .summary = "Remove nodes that are gone for good", .flags = VERB_CONFIRM,
     .options = node_delete_options, .run = run_delete},
    {0}};
static const struct verb network_verbs[] = {
    LIST("List networks", limit_options), SHOW("Show all about networks"), {0}};

/* ---- project, token ---- */
static const struct verb project_verbs[] = {
    LIST("List projects", limit_options),
    SHOW("Show all about projects"),
    {.name = "create", SOME, .summary = "Make projects", .flags = VERB_OUTPUT | VERB_NEW, .run = run_create},
    {.name = "update", ONE, .summary = "Rename a project", .flags = VERB_OUTPUT | VERB_QUIET, .options = rename_options,
     .run = run_update},
    DELETE("Delete empty projects", run_delete),
    {0}};

static const char *const token_roles[] = {"reader", "member", "admin", "join", NULL};
static const struct option token_create_options[] = {
    {.name = "role", .type = OPTION_CHOICE, .place = PLACE_BODY, .required = true, .value = "ROLE",
     .help = "reader, member, admin, or join (for nodes)", .choices = token_roles},
    {.name = "save", .type = OPTION_FILE, .value = "FILE",
     .help = "write the secret there (mode 0600), do not print it"},
    {0}};
static const struct verb token_verbs[] = {
    LIST("List tokens, without their secrets", limit_options),
    SHOW("Show all about tokens, except their secrets"),
    {.name = "create", ONE_NEW, .summary = "Make a token; its secret is shown this once",
     .flags = VERB_OUTPUT | VERB_NEW | VERB_DETAIL, .options = token_create_options, .run = run_token_create,
     .notes = "The token is for the project in use. Without one an operator's admin and join\n"
         "tokens have no project; the rest are for the project default.",
     .example = "ci --role member --project default --save ci.token"},
    DELETE("Delete tokens: whoever has them is out at once", run_delete),
    {0}};

/* ---- operation, event ---- */
static const struct option operation_filters[] = {
    {.name = "instance", .type = OPTION_TEXT, .place = PLACE_QUERY, .value = "INSTANCE",
     .help = "only those of this instance", .noun = "instance"},
    {.name = "state", .type = OPTION_CHOICE, .place = PLACE_QUERY, .value = "STATE", .help = "only those in this state",
     .choices = operation_state_names},
    {.name = "kind", .type = OPTION_TEXT, .place = PLACE_QUERY, .value = "KIND",
     .help = "only those of one kind, such as start"},
    OPT_LIMIT, {0}};
#define SOME_IDS .targets = "ID...", .min_targets = 1, .max_targets = MANY
static const struct verb operation_verbs[] = {
    LIST("List operations: what was asked for, and how it ended", operation_filters),
    {.name = "show", SOME_IDS, .summary = "Show all about operations", .flags = VERB_OUTPUT | VERB_DETAIL,
     .run = run_show},
    {.name = "wait", SOME_IDS, .summary = "Wait until operations end", .flags = VERB_OUTPUT | VERB_WAIT | VERB_QUIET,
     .run = run_operation_wait,
     .notes = "Succeeds when all of them are done, and tells why one failed."},
    {0}};

static const struct option event_options[] = {
    {.name = "follow", .letter = 'f', .type = OPTION_FLAG, .help = "go on printing new ones, a line each"},
    {.name = "after", .type = OPTION_INT, .value = "REVISION", .help = "those after it (default: the newest)", .min = 0,
     .max = INT64_MAX},
    {.name = "kind", .type = OPTION_TEXT, .place = PLACE_QUERY, .value = "KIND",
     .help = "only those about one kind, such as instance"},
    {.name = "id", .type = OPTION_TEXT, .place = PLACE_QUERY, .value = "ID", .help = "only those about one thing"},
    {.name = "limit", .type = OPTION_INT, .value = "N", .help = "at most so many (default: 100)", .min = 1,
     .max = INT_MAX},
    {0}};
static const struct verb event_verbs[] = {
    {.name = "list", .summary = "List what happened, or follow it as it happens", .flags = VERB_OUTPUT,
     .options = event_options, .run = run_event_list,
     .example = "--follow --kind instance", .notes = "Followed with -o json, each event is one line of JSON."},
    {0}};

/* ---- usage, price ---- */
static const char *const usage_keys[] = {"project", "instance", "flavor", "meter", "node", "label:", NULL};
static const char *const meter_names[] = {"running", "running_vcpu", "running_memory", "allocated",
    "allocated_vcpu", "allocated_memory", "root_disk", "image", "cpu", "network_ingress",
    "network_egress", "gap", NULL};
static const char *const export_formats[] = {"csv", "jsonl", "focus", NULL};
static const char *const price_grains[] = {"hour", "minute", "second", NULL};
static const char *const clock_choices[] = {"keep", "take", "controller", NULL};
#define RANGE_OPTIONS(unit_ms) \
    {.name = "start", .type = OPTION_TIME, .place = PLACE_QUERY, .value = "TIME", \
     .help = "from then on (default: first of the end's month)", .unit = unit_ms}, \
    {.name = "end", .type = OPTION_TIME, .place = PLACE_QUERY, .value = "TIME", \
     .help = "until just before then (default: now)", .unit = unit_ms, .round_up = true}
#define TIME_NOTES "A TIME is 2026-11-01T10:00:00Z, or a day such as 2026-11-01 or a month such as\n" \
        "2026-11, which mean their first moment in UTC; or -24h or -7d, which count back\n" \
        "from now; or now, today, yesterday, or month (this one's first moment)."
#define RANGE_NOTES "Without --start it begins on the first of the month in which it ends, or of this\n" \
        "month where that is earlier; without --end it ends now.\n\n" TIME_NOTES
static const struct option segment_options[] = {RANGE_OPTIONS(0), {0}};
static const struct option usage_show_options[] = {
    RANGE_OPTIONS(0),
    {.name = "granularity", .type = OPTION_CHOICE, .place = PLACE_QUERY, .value = "PERIOD",
     .help = "a row per hour, day or month (default: total)", .choices = period_names},
    {.name = "group-by", .type = OPTION_LIST, .place = PLACE_QUERY, .member = "group_by", .value = "A,B,C",
     .help = "project, instance, flavor, meter, node, label:NAME", .choices = usage_keys},
    {.name = "meter", .type = OPTION_LIST, .place = PLACE_QUERY, .value = "A,B,C",
     .help = "only these, such as running,network_egress", .choices = meter_names},
    {.name = "chart", .type = OPTION_FLAG, .help = "draw the cost of each hour or day as a bar"},
    {0}};
static const struct option export_options[] = {
    {.name = "format", .type = OPTION_CHOICE, .place = PLACE_QUERY, .required = true, .value = "FORMAT",
     .help = "csv, jsonl or focus (FOCUS 1.2)", .choices = export_formats},
    RANGE_OPTIONS(HOUR_MS),
    {.name = "output", .letter = 'o', .type = OPTION_FILE, .value = "FILE",
     .help = "write it there (default: standard output)"},
    {0}};
static const struct option verify_options[] = {
    {.name = "after", .type = OPTION_TEXT, .place = PLACE_BODY, .value = "CHAIN",
     .help = "only what came since the verdict with this chain"},
    {0}};
static const struct option usage_confirm_options[] = {
    {.name = "clock", .type = OPTION_CHOICE, .place = PLACE_BODY, .required = true, .value = "WORD",
     .help = "keep, take or controller: which time holds", .choices = clock_choices},
    {.name = "boot", .type = OPTION_TEXT, .place = PLACE_BODY, .value = "BOOT",
     .help = "of which boot of the node (default: the one held)"},
    {.name = "yes", .letter = 'y', .type = OPTION_FLAG, .help = "do not ask; needed where there is no terminal"},
    {0}};
static const struct verb usage_verbs[] = {
    {.name = "show", .summary = "Show what was used, and what it costs", .flags = VERB_OUTPUT,
     .options = usage_show_options, .run = run_usage_show,
     .notes = "A row is marked ? where part of it has an end that is not proved, and c where it\n"
         "corrects hours that were sealed. Time for which there is no proof is the meter\n"
         "gap: shown, never billed. CSV, JSON and YAML have the exact quantities; -o name\n"
         "prints what tells a row from the others. Costs are exact: all of a table have as\n"
         "many decimals as one of them needs, from four to nine. Quantities are rounded.\n\n"
         "The meters: running, running_vcpu and running_memory while a machine runs;\n"
         "allocated, allocated_vcpu and allocated_memory while it is kept and stopped;\n"
         "root_disk, image, cpu, network_ingress, network_egress and gap.\n\n" RANGE_NOTES,
     .example = "--start -7d --granularity day --group-by project,flavor"},
    {.name = "now", .summary = "Show what the next hour costs, and this month", .flags = VERB_OUTPUT,
     .columns = forecast_columns, .name_path = "project", .run = run_usage_now,
     .notes = "At the month's end: if everything stays as it is."},
    {.name = "segments", .targets = "INSTANCE", .min_targets = 1, .max_targets = 1, .target_noun = "instance",
     .summary = "List from when to when one ran, and with what size", .flags = VERB_OUTPUT, .options = segment_options,
     .columns = segment_columns, .name_path = "start", .run = run_usage_segments,
     .notes = "What its host proved; all totals and costs are made of this. A gap is time that\n"
         "nobody proved: it is never billed. A line that says taken back cancels one that\n"
         "was sealed, and a correction stands in its place. --columns shows more.\n\n" RANGE_NOTES,
     .example = "web1 --start -24h"},
    {.name = "export", .summary = "Write every rated row, for other programs", .options = export_options,
     .run = run_usage_export,
     .notes = "Rows are of whole hours: a start or an end that counts from now is moved to the\nhour around it.\n\n"
         RANGE_NOTES, .example = "--format focus --start 2026-10 --end 2026-11 \\\n      --output october.csv"},
    {.name = "verify", .summary = "Work all sealed hours out again from the evidence",
     .flags = VERB_OUTPUT | VERB_DETAIL | VERB_QUIET, .options = verify_options, .columns = verdict_columns,
     .name_path = "chain", .run = run_usage_verify,
     .notes = "Ends with 5 and names the row when one millisecond or one byte differs. Keep the\n"
         "chain that it prints elsewhere: --after CHAIN proves what came since, and that\n"
         "what came before was neither cut off nor sealed anew.",
     .example = "\\\n      --after 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
    {.name = "seals", .summary = "List seals: up to when only corrections can come", .flags = VERB_OUTPUT,
     .options = limit_options, .columns = seal_columns, .name_path = "until", .run = run_usage_seals},
    {.name = "confirm", .targets = "[NODE]", .max_targets = 1, .target_noun = "node",
     .summary = "Say which time holds after a clock stepped", .options = usage_confirm_options,
     .run = run_usage_confirm,
     .notes = "When the clock of a node, or the controller's own (no NODE), steps by over five\n"
         "seconds, durations stay right but nobody knows in which hour they fell. Sealing\n"
         "waits until an operator says so:\n  keep        it was right before it stepped, and is wrong now\n"
         "  take        it was wrong before, and is right now\n"
         "  controller  a node's was and is wrong, or its boot is over: the controller's\n              clock is right",
     .example = "n1 --clock take"},
    {0}};
static const struct option price_filters[] = {
    {.name = "meter", .type = OPTION_TEXT, .place = PLACE_QUERY, .value = "METER", .help = "only those of this meter",
     .choices = meter_names}, OPT_LIMIT, {0}};
static const struct option price_create_options[] = {
    {.name = "meter", .type = OPTION_TEXT, .place = PLACE_BODY, .required = true, .value = "METER",
     .help = "what it is the price of, such as running", .choices = meter_names},
    {.name = "price", .type = OPTION_MONEY, .place = PLACE_BODY, .required = true, .member = "nanos", .value = "MONEY",
     .help = "of one unit, to 9 decimals, such as 0.004", .max = LIMIT_PRICE_NANOS},
    {.name = "flavor", .type = OPTION_TEXT, .place = PLACE_BODY, .value = "FLAVOR",
     .help = "only for instances of this flavor", .noun = "flavor"},
    {.name = "per", .type = OPTION_CHOICE, .place = PLACE_BODY, .value = "GRAIN",
     .help = "bill each hour, minute or second (default) that began", .choices = price_grains},
    {.name = "minimum", .type = OPTION_SECONDS, .place = PLACE_BODY, .member = "minimum_seconds", .value = "SPAN",
     .help = "bill at least so much, such as 60s", .min = 0, .max = LIMIT_PRICE_MINIMUM_SECONDS},
    {.name = "monthly-cap", .type = OPTION_MONEY, .place = PLACE_BODY, .member = "monthly_cap_nanos", .value = "MONEY",
     .help = "one resource costs no more in a month", .min = 1, .max = LIMIT_PRICE_NANOS},
    {.name = "from", .type = OPTION_TIME, .place = PLACE_BODY, .member = "valid_from", .fixed = "now", .value = "TIME",
     .help = "it holds from then on (default: now)"},
    {.name = "until", .type = OPTION_TIME, .place = PLACE_BODY, .member = "valid_until", .value = "TIME",
     .help = "it holds until just before then (default: for good)"},
    {0}};
static const struct verb price_verbs[] = {
    LIST("List prices, of a project and for all", price_filters),
    {.name = "show", SOME_IDS, .summary = "Show all about prices", .flags = VERB_OUTPUT | VERB_DETAIL, .run = run_show},
    {.name = "create", .summary = "Set a price from now on, or from a later time", .flags = VERB_OUTPUT | VERB_DETAIL,
     .options = price_create_options, .run = run_price_create,
     .notes = "The price is for an hour (running, allocated), a vCPU hour (..._vcpu), a GiB\n"
         "hour (..._memory, root_disk), a GB hour (image), a CPU hour (cpu) or a GB\n"
         "(network_...). With --project it holds for that project only. The most specific\n"
         "price wins: project and flavor, project, flavor, all. The past keeps its prices.\n"
         "What is paid for is not paid again when the price changes.\n\n"
         "The meters are listed by cloudctl usage show --help.\n\n" TIME_NOTES,
     .example = "--meter running --flavor small --price 0.004 \\\n      --per minute --minimum 60s --monthly-cap 2.50"},
    {.name = "end", SOME_IDS, .summary = "End prices now; what was billed by them stands", .flags = VERB_CONFIRM,
     .run = run_price_end},
    {0}};

/* ---- what needs no noun of the API ---- */
static const struct option context_create_options[] = {
    {.name = "token", .type = OPTION_TEXT, .value = "SECRET", .help = "its token (others may see it in ps)"},
    {.name = "use", .type = OPTION_FLAG, .help = "make it the current one (the first one is)"},
    {.name = "force", .type = OPTION_FLAG, .help = "overwrite one of the same name"},
    {0}};
static const struct verb context_verbs[] = {
    {.name = "list", .summary = "List contexts", .flags = VERB_OUTPUT, .run = run_context_list},
    {.name = "show", .targets = "[NAME]", .max_targets = 1, .summary = "Show a context, by default the current one",
     .flags = VERB_OUTPUT | VERB_DETAIL, .run = run_context_show},
    {.name = "use", ONE, .summary = "Make a context the current one", .run = run_context_use},
    {.name = "create", ONE_NEW, .summary = "Keep a controller's address and a token", .flags = VERB_NEW,
     .options = context_create_options, .run = run_context_create,
     .example = "lab --url http://127.0.0.1:8080 --token-file ./admin"},
    DELETE("Forget contexts", run_context_delete),
    {0}};

static const char *const shells[] = {"bash", NULL};
static const struct option restored_options[] = {
    {.name = "reason", .type = OPTION_TEXT, .place = PLACE_BODY, .value = "TEXT", .help = "for the controller's log"},
    {.name = "yes", .letter = 'y', .type = OPTION_FLAG, .help = "do not ask; needed where there is no terminal"},
    {0}};
static const struct verb system_verbs[] = {
    {.name = "restored", .summary = "Say that the database is a copy from the past", .options = restored_options,
     .run = run_system_restored,
     .notes = "For a database that was put back from a backup without its marks.key. What\n"
         "hosts have becomes what is desired: guests that were made or stopped since the\n"
         "copy was taken are neither deleted nor started. With marks.key this is not\nneeded."},
    {0}};
static const struct verb status_verbs[] = {{.name = "", .summary = "Show controller, nodes and instances on one screen",
    .run = run_status}, {0}};
static const struct verb version_verbs[] = {{.name = "", .summary = "Print cloudctl's version, and the controller's",
    .run = run_version}, {0}};
static const struct verb help_verbs[] = {{.name = "", .targets = "[NOUN [VERB]]", .max_targets = 2,
    .summary = "Explain a command", .run = run_help}, {0}};
static const struct verb completion_verbs[] = {{.name = "", .targets = "SHELL", .min_targets = 1, .max_targets = 1,
    .target_choices = shells, .summary = "Print a script that teaches a shell to complete", .run = run_completion,
    .example = "bash > ~/.local/share/bash-completion/completions/cloudctl"}, {0}};
static const struct verb complete_verbs[] = {{.name = "", .targets = "WORD...", .max_targets = MANY,
    .summary = "Print completions", .flags = VERB_HIDDEN | VERB_WORDS, .run = run_complete}, {0}};

const struct noun orphan_noun = {"orphan", "orphans", "Files among the images that no image has",
    false, "file", orphan_columns, NULL};

const struct noun nouns[] = {
    {"instance", "instances", "Virtual machines", true, NULL, instance_columns, instance_verbs},
    {"image", "images", "Disk images that instances start from", true, NULL, image_columns, image_verbs},
    {"flavor", "flavors", "Sizes of instances", false, NULL, flavor_columns, flavor_verbs},
    {"key", "keys", "SSH public keys", true, NULL, key_columns, key_verbs},
    {"network", "networks", "Networks", true, NULL, network_columns, network_verbs},
    {"node", "nodes", "Hosts", false, NULL, node_columns, node_verbs},
    {"project", "projects", "Projects, which own all else", false, NULL, project_columns, project_verbs},
    {"token", "tokens", "API tokens", true, NULL, token_columns, token_verbs},
    {"operation", "operations", "What was asked for and takes time", true, "id", operation_columns, operation_verbs},
    {"event", "events", "What happened", true, "id", event_columns, event_verbs},
    {"usage", "usage", "What was used, hour by hour, and what it costs", true, "name", usage_columns, usage_verbs},
    {"price", "prices", "What usage costs", true, "id", price_columns, price_verbs},
    {"system", "system", "The controller as a whole", false, "epoch", NULL, system_verbs},
    {"context", "contexts", "Controllers and tokens that cloudctl knows", false, NULL, context_columns, context_verbs},
    {"status", NULL, NULL, false, NULL, NULL, status_verbs},
    {"version", NULL, NULL, false, NULL, NULL, version_verbs},
    {"help", NULL, NULL, false, NULL, NULL, help_verbs},
    {"completion", NULL, NULL, false, NULL, NULL, completion_verbs},
    {"__complete", NULL, NULL, false, NULL, NULL, complete_verbs},
    {0},
};
/* clang-format on */
