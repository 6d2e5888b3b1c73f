/* What the verbs do. Each returns 0, or -1 with `err` filled; a verb with several
 * targets reports each failure by cli_fail() as it happens and returns 0. */
#ifndef MINICLOUD_CLI_VERB_VERBS_H
#define MINICLOUD_CLI_VERB_VERBS_H

struct args;
struct cli;
struct err;

typedef int verb_run(struct cli *cli, const struct args *args, struct err *err);

/* For any noun of the API. */
verb_run run_list, run_show, run_create, run_update, run_delete, run_action;
verb_run run_operation_wait, run_token_create;
verb_run run_image_list, run_image_create, run_image_upload, run_image_download;
verb_run run_orphan_import, run_orphan_delete;
verb_run run_event_list, run_log;
verb_run run_context_list, run_context_show, run_context_use, run_context_create,
    run_context_delete;
verb_run run_usage_segments, run_usage_show, run_usage_now, run_usage_export, run_usage_verify,
    run_usage_seals, run_usage_confirm, run_system_restored;
verb_run run_price_create, run_price_end;
verb_run run_status, run_version, run_help, run_completion, run_complete;

#endif
