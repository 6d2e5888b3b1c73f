/* The text of the API, for GET /v1/openapi.yaml. */
    .section .rodata
    .global openapi_yaml
    .type openapi_yaml, %object
openapi_yaml:
    .incbin "api/openapi.yaml"
    .global openapi_yaml_end
    .type openapi_yaml_end, %object
openapi_yaml_end:
    .byte 0
    .size openapi_yaml, openapi_yaml_end - openapi_yaml
    .section .note.GNU-stack,"",%progbits
