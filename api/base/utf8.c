/* UTF-8 by the table of well-formed byte sequences (Unicode, table 3-7). */
#include "api/base/utf8.h"

#include <stdbool.h>

static bool within(const char *text, size_t at, unsigned low, unsigned high)
{
    unsigned c = (unsigned char)text[at];
    return c >= low && c <= high;
}

static bool continues(const char *text, size_t at)
{
    return within(text, at, 0x80, 0xBF);
}

size_t utf8_sequence(const char *text, size_t len)
{
    if (len == 0)
        return 0;
    unsigned lead = (unsigned char)text[0];
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        return len >= 2 && continues(text, 1) ? 2 : 0;
    if (lead >= 0xE0 && lead <= 0xEF) {
        /* E0: no overlong forms; ED: no surrogates. */
        unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
        unsigned high = lead == 0xED ? 0x9F : 0xBF;
        return len >= 3 && within(text, 1, low, high) && continues(text, 2) ? 3 : 0;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        /* F0: no overlong forms; F4: nothing past U+10FFFF. */
        unsigned low = lead == 0xF0 ? 0x90 : 0x80;
        unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
        bool ok = len >= 4 && within(text, 1, low, high) && continues(text, 2);
        return ok && continues(text, 3) ? 4 : 0;
    }
    return 0;
}

size_t utf8_cut(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    /* A sequence has at most three continuation bytes; more is no UTF-8 anyway. */
    size_t cut = max;
    while (cut > 0 && max - cut < 4 && continues(text, cut))
        cut--;
    return continues(text, cut) ? max : cut;
}

void utf8_harmless(char *text, size_t len, char instead)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i],
                      next = i + 1 < len ? (unsigned char)text[i + 1] : 0;
        bool wide = c == 0xc2 && next >= 0x80 && next <= 0x9f;
        if (wide)
            text[i++] = instead;
        if (wide || c < 0x20 || c == 0x7f)
            text[i] = instead;
    }
}
