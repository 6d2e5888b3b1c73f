/* The handlers that routes.c names, one for each route: handle_<noun>.c decodes, calls the
 * domain and answers. */
#ifndef MINICLOUD_CONTROLLER_REQUEST_HANDLERS_H
#define MINICLOUD_CONTROLLER_REQUEST_HANDLERS_H

#include "controller/request/request.h"

/* handle_system.c, handle_metrics.c, handle_event.c */
request_handler handle_system_healthz, handle_system_openapi, handle_system_restored,
    handle_metrics_show, handle_event_list;

/* handle_project.c, handle_token.c, handle_key.c, handle_flavor.c, handle_operation.c */
request_handler handle_project_list, handle_project_create, handle_project_show,
    handle_project_update, handle_project_delete;
request_handler handle_token_list, handle_token_create, handle_token_show, handle_token_delete;
request_handler handle_key_list, handle_key_create, handle_key_show, handle_key_update,
    handle_key_delete;
request_handler handle_flavor_list, handle_flavor_create, handle_flavor_show, handle_flavor_delete;
request_handler handle_operation_list, handle_operation_show;

/* handle_segments.c */
request_handler handle_instance_usage;

/* handle_ledger.c */
request_handler handle_usage_verify, handle_usage_confirm;

/* handle_price.c */
request_handler handle_price_list, handle_price_create, handle_price_show, handle_price_delete;

/* handle_usage.c, usage_now.c, usage_export.c */
request_handler handle_usage_list, handle_usage_now, handle_usage_export, handle_usage_seals;

/* handle_instance.c */
request_handler handle_instance_list, handle_instance_create, handle_instance_show,
    handle_instance_update, handle_instance_delete;
request_handler handle_instance_start, handle_instance_stop, handle_instance_reboot,
    handle_instance_resize, handle_instance_rebuild;
request_handler handle_instance_console;

/* handle_image.c */
request_handler handle_image_list, handle_image_create, handle_image_show, handle_image_update,
    handle_image_delete;
request_handler handle_image_upload_begin, handle_image_upload, handle_image_download;

/* handle_orphan.c */
request_handler handle_orphan_list, handle_orphan_delete, handle_orphan_import;

/* handle_network.c */
request_handler handle_network_list, handle_network_show;

/* handle_node.c */
request_handler handle_node_list, handle_node_join, handle_node_show, handle_node_update,
    handle_node_delete;
request_handler handle_node_desired, handle_node_observed, handle_node_console;

/* handle_system.c: the kept answer of healthz, made and freed by the app. */
struct health;
struct health *health_new(void);
void health_free(struct health *health);

#endif
