/* Edit distance over short names; allocates nothing that a caller sees. */
#include "cli/line/suggest.h"

#include <string.h>

#include "api/base/buf.h"

enum { NAME_MAX_LEN = 32 };

/* Levenshtein's distance by one row; names longer than the row are never near. */
static size_t distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > NAME_MAX_LEN || b_len > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    size_t row[NAME_MAX_LEN + 1];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t replace = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t skip = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = replace < skip ? replace : skip;
        }
    }
    return row[b_len];
}

const char *suggest(const char *given, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t best_distance = 3;
    for (size_t i = 0; i < count; i++) {
        size_t d = names[i][0] == '_' ? NAME_MAX_LEN : distance(given, names[i]);
        if (d < best_distance && d < strlen(names[i]) - 1) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}

char *suggest_all(const char *const *names)
{
    auto_buf struct buf text = {0};
    for (size_t i = 0; names[i]; i++) {
        if (i > 0)
            buf_puts(&text, names[i + 1] ? ", " : " or ");
        buf_puts(&text, names[i]);
    }
    return buf_take(&text);
}
