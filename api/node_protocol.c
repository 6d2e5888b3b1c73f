/* The field tables of the agent protocol. */
#include "api/node_protocol.h"

#include "api/base/limits.h"
#include "api/json/validate.h"
#include "api/json/wire_table.h"

enum {
    TEXT = 255,
    USER_DATA_BASE64 = (LIMIT_USER_DATA + 2) / 3 * 4,
};

#define STRUCT node_capacity
static const struct wire_field node_capacity_fields[] = {
    W_I64(cpus, .max = LIMIT_HOST_AMOUNT), W_I64(memory_mib, .max = LIMIT_HOST_AMOUNT),
    W_I64(disk_gib, .max = LIMIT_HOST_AMOUNT), W_ENUM(virt, virt_names)};
static const struct wire_struct node_capacity_wire = WIRE_STRUCT(node_capacity);
#undef STRUCT

#define STRUCT node_condition
static const struct wire_field node_condition_fields[] = {W_STR_REQ(code, LIMIT_CONDITION_CODE),
                                                          W_STR_REQ(text, LIMIT_REASON)};
static const struct wire_struct node_condition_wire = WIRE_STRUCT(node_condition);
#undef STRUCT

#define STRUCT node_join
static const struct wire_field node_join_fields[] = {
    W_STR_REQ(name, LIMIT_NAME, .check = validate_name),
    W_STR_REQ(host_uuid, LIMIT_WORD, .check = validate_word),
    W_STR_REQ(boot_id, LIMIT_WORD, .check = validate_word),
    W_STR(version, LIMIT_WORD, .check = validate_word),
    W_I64(protocol),
    W_OBJECT(capacity, node_capacity_wire)};
const struct wire_struct node_join_wire = WIRE_STRUCT(node_join);
#undef STRUCT

#define STRUCT node_joined
static const struct wire_field node_joined_fields[] = {W_STR_REQ(id, TEXT), W_STR(name, TEXT),
                                                       W_STR_REQ(token, TEXT), W_I64(protocol)};
const struct wire_struct node_joined_wire = WIRE_STRUCT(node_joined);
#undef STRUCT

#define STRUCT desired_image
static const struct wire_field desired_image_fields[] = {
    W_STR(id, TEXT), W_ENUM(format, format_names), W_DEC64(size_bytes), W_DEC64(virtual_bytes),
    W_STR(sha256, TEXT)};
static const struct wire_struct desired_image_wire = WIRE_STRUCT(desired_image);
#undef STRUCT

#define STRUCT desired_interface
static const struct wire_field desired_interface_fields[] = {W_STR(network, TEXT), W_STR(mac, TEXT),
                                                             W_STR(address, TEXT)};
static const struct wire_struct desired_interface_wire = WIRE_STRUCT(desired_interface);
#undef STRUCT

#define STRUCT desired_instance
static const struct wire_field desired_instance_fields[] = {
    W_STR_REQ(id, TEXT),
    W_STR(name, TEXT),
    W_I64(generation),
    W_BOOL(deleted),
    W_BOOL(adopt),
    W_ENUM(power, power_names),
    W_I64(run),
    W_BOOL(force),
    W_I64(stop_timeout_ms),
    W_I64(vcpus),
    W_I64(memory_mib),
    W_I64(disk_gib),
    W_I64(disk_number),
    W_I64(uid),
    W_OBJECT(image, desired_image_wire),
    W_LIST(interfaces, desired_interface_wire),
    W_STR(hostname, TEXT),
    W_STRS(keys),
    W_STR(user_data, USER_DATA_BASE64),
};
const struct wire_struct desired_instance_wire = WIRE_STRUCT(desired_instance);
#undef STRUCT

#define STRUCT desired_network
static const struct wire_field desired_network_fields[] = {
    W_STR(id, TEXT), W_STR(name, TEXT), W_STR(cidr, TEXT), W_STR(gateway, TEXT),
    W_I64(bridge),   W_BOOL(nat),       W_I64(generation)};
static const struct wire_struct desired_network_wire = WIRE_STRUCT(desired_network);
#undef STRUCT

#define STRUCT console_request
static const struct wire_field console_request_fields[] = {W_STR(id, TEXT), W_STR(instance, TEXT),
                                                           W_I64(bytes)};
static const struct wire_struct console_request_wire = WIRE_STRUCT(console_request);
#undef STRUCT

#define STRUCT desired_page
static const struct wire_field desired_page_fields[] = {
    W_I64(protocol),
    W_STR_REQ(epoch, TEXT),
    W_I64(revision),
    W_STR(mark, NODE_MARK_MAX),
    W_BOOL(full),
    W_LIST(instances, desired_instance_wire),
    W_LIST(networks, desired_network_wire),
    W_STRS(images),
    W_STRS(images_gone),
    W_LIST(console, console_request_wire),
};
const struct wire_struct desired_page_wire = WIRE_STRUCT(desired_page);
#undef STRUCT

#define STRUCT observed_instance
static const struct wire_field observed_instance_fields[] = {
    W_STR_REQ(id, TEXT),
    W_STR(epoch, TEXT),
    W_I64(generation),
    W_BOOL(converged),
    W_ENUM(state, state_names),
    W_STR(reason, LIMIT_REASON),
    W_BOOL(final),
    W_I64(run),
    W_ENUM(cause, cause_names),
    W_I64(vcpus),
    W_I64(memory_mib),
    W_I64(disk_gib),
    W_I64(disk_number),
    W_I64(uid),
    W_STR(address, TEXT),
    W_STR(name, TEXT),
    W_BOOL(quarantined),
};
const struct wire_struct observed_instance_wire = WIRE_STRUCT(observed_instance);
#undef STRUCT

#define STRUCT observation
static const struct wire_field observation_fields[] = {
    W_STR_REQ(boot_id, TEXT),
    W_I64(boot_order),
    W_STR_REQ(incarnation, TEXT),
    W_I64(sequence),
    W_ENUM(kind, observation_names),
    W_STR_REQ(instance, TEXT),
    W_I64(run),
    W_ENUM(cause, cause_names),
    W_I64(boottime_ms),
    W_I64(wall_ms),
    W_BOOL(noticed),
    W_I64(vcpus),
    W_I64(memory_mib),
    W_I64(disk_gib),
    W_DEC64(cpu_ns),
    W_DEC64(ingress_bytes),
    W_DEC64(egress_bytes),
};
static const struct wire_struct observation_wire = WIRE_STRUCT(observation);
#undef STRUCT

#define STRUCT node_report
static const struct wire_field node_report_fields[] = {
    W_I64(protocol),
    W_STR(version, LIMIT_WORD, .check = validate_word),
    W_STR(epoch, LIMIT_WORD, .check = validate_word),
    W_I64(revision),
    W_STR(mark, NODE_MARK_MAX, .check = validate_word),
    W_STR_REQ(boot_id, LIMIT_WORD, .check = validate_word),
    W_I64(boot_order),
    W_STR_REQ(incarnation, LIMIT_WORD, .check = validate_word),
    W_I64(sequence),
    W_I64(boottime_ms),
    W_I64(wall_ms),
    W_BOOL(full),
    W_OBJECT(capacity, node_capacity_wire),
    W_LIST(conditions, node_condition_wire, .max = LIMIT_CONDITIONS),
    W_LIST(instances, observed_instance_wire, .max = LIMIT_NODE_GUESTS),
    W_LIST(observations, observation_wire, .max = LIMIT_OBSERVATIONS),
    W_BOOL(more),
};
const struct wire_struct node_report_wire = WIRE_STRUCT(node_report);
#undef STRUCT

#define STRUCT node_report_ack
static const struct wire_field node_report_ack_fields[] = {
    W_STR_REQ(epoch, TEXT),     W_I64(revision),    W_I64(boot_order),
    W_STR(mark, NODE_MARK_MAX), W_STR(spool, TEXT), W_I64(acknowledged)};
const struct wire_struct node_report_ack_wire = WIRE_STRUCT(node_report_ack);
#undef STRUCT
