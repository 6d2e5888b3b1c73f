/* The value of a hexadecimal digit of either case; -1 when it is none. */
#ifndef MINICLOUD_API_BASE_HEX_H
#define MINICLOUD_API_BASE_HEX_H

static inline int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
