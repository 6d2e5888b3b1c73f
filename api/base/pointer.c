/* JSON pointers, cut at a bound: they only ever tell a person where to look. */
#include "api/base/pointer.h"

#include <stdio.h>
#include <string.h>

#include "api/base/utf8.h"

/* Whole or not at all; after the first that does not fit, nothing more is added. */
static void add_piece(struct pointer *pointer, const char *piece, size_t len)
{
    if (len >= sizeof(pointer->text) - pointer->len) {
        pointer->len = sizeof(pointer->text);
        return;
    }
    memcpy(pointer->text + pointer->len, piece, len);
    pointer->len += len;
    pointer->text[pointer->len] = '\0';
}

void pointer_add(struct pointer *pointer, const char *name, size_t len)
{
    add_piece(pointer, "/", 1);
    for (size_t i = 0; i < len && pointer->len < sizeof(pointer->text);) {
        size_t piece = utf8_sequence(name + i, len - i);
        if (name[i] == '~')
            add_piece(pointer, "~0", 2);
        else if (name[i] == '/')
            add_piece(pointer, "~1", 2);
        else
            add_piece(pointer, name + i, piece ? piece : 1);
        i += piece ? piece : 1;
    }
}

void pointer_add_index(struct pointer *pointer, size_t index)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "/%zu", index);
    add_piece(pointer, digits, (size_t)len);
}

const char *pointer_label(const char *pointer)
{
    return pointer[0] == '/' ? pointer + 1 : pointer[0] ? pointer : "the text";
}
