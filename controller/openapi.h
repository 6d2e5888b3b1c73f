/* api/openapi.yaml as it was when the program was built, put into it by openapi.S. */
#ifndef MINICLOUD_CONTROLLER_OPENAPI_H
#define MINICLOUD_CONTROLLER_OPENAPI_H

extern const char openapi_yaml[], openapi_yaml_end[];

#endif
