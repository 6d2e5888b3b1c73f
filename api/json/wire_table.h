/* Rows of a wire field table. Set STRUCT to the struct's tag before a table and
 * undefine it after:
 *
 *   #define STRUCT key_create
 *   static const struct wire_field key_create_fields[] = {W_STR_REQ(name, LIMIT_NAME), ...};
 *   static const struct wire_struct key_create_wire = WIRE_STRUCT(key_create);
 *   #undef STRUCT
 *
 * A last argument list of designated initialisers adds to a row:
 *   W_STR(name, 63, .check = validate_name). */
#ifndef MINICLOUD_API_JSON_WIRE_TABLE_H
#define MINICLOUD_API_JSON_WIRE_TABLE_H

#include <stddef.h>

#include "api/json/wire.h"

/* clang-format off */
#define W_ROW(member, kind, ...)                                                                   \
    {.name = #member, .type = kind, .offset = offsetof(struct STRUCT, member), __VA_ARGS__}
#define W_STR(member, bytes, ...) W_ROW(member, WIRE_STR, .max = bytes, .flags = WIRE_OMIT, __VA_ARGS__)
#define W_STR_REQ(member, bytes, ...)                                                              \
    W_ROW(member, WIRE_STR, .min = 1, .max = bytes, .flags = WIRE_REQUIRED, __VA_ARGS__)
#define W_I64(member, ...) W_ROW(member, WIRE_I64, __VA_ARGS__)
#define W_DEC64(member, ...) W_ROW(member, WIRE_DEC64, __VA_ARGS__)
#define W_BOOL(member, ...) W_ROW(member, WIRE_BOOL, __VA_ARGS__)
#define W_TIME(member, ...) W_ROW(member, WIRE_TIME, __VA_ARGS__)
#define W_ENUM(member, table, ...) W_ROW(member, WIRE_ENUM, .names = table, __VA_ARGS__)
#define W_LABELS(member, ...) W_ROW(member, WIRE_LABELS, __VA_ARGS__)
#define W_STRS(member, ...) W_ROW(member, WIRE_STRS, __VA_ARGS__)
#define W_OBJECT(member, wire, ...) W_ROW(member, WIRE_OBJECT, .sub = &wire, __VA_ARGS__)
#define W_LIST(member, wire, ...) W_ROW(member, WIRE_LIST, .sub = &wire, __VA_ARGS__)

#define WIRE_STRUCT(tag)                                                                           \
    {.name = #tag, .size = sizeof(struct tag), .fields = tag##_fields,                             \
     .count = sizeof(tag##_fields) / sizeof(tag##_fields[0])}
/* For structs with a member `uint64_t present`. */
#define WIRE_STRUCT_PRESENT(tag)                                                                   \
    {.name = #tag, .size = sizeof(struct tag), .fields = tag##_fields,                             \
     .count = sizeof(tag##_fields) / sizeof(tag##_fields[0]),                                      \
     .present = offsetof(struct tag, present) + 1}
/* clang-format on */

#endif
