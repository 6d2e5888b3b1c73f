/* The text of the API, for GET /v1/openapi.yaml. */
    .section .rodata
    .global openapi_yaml
    .type openapi_yaml, %object
openapi_yaml:
    .incbin "api/openapi.yaml"
.Lend:
    .byte 0
    .size openapi_yaml, .Lend - openapi_yaml
    .balign 8
    .global openapi_yaml_size
    .type openapi_yaml_size, %object
openapi_yaml_size:
    .quad .Lend - openapi_yaml
    .size openapi_yaml_size, 8
    .section .note.GNU-stack,"",%progbits
