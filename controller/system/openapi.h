/* api/openapi.yaml as it was when the program was built, put into it by openapi.S. */
#ifndef MINICLOUD_CONTROLLER_SYSTEM_OPENAPI_H
#define MINICLOUD_CONTROLLER_SYSTEM_OPENAPI_H

#include <stddef.h>

extern const char openapi_yaml[];
extern const size_t openapi_yaml_size;

#endif
