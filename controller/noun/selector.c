/* Label selectors as JSON objects. */
#include "controller/noun/selector.h"

#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "api/json/validate.h"

static int put_pair(const char *pair, size_t len, struct json_writer *w, struct err *err)
{
    autofree char *name = xstrndup(pair, len);
    char *equals = strchr(name, '=');
    const char *value = NULL;
    if (equals) {
        *equals = '\0';
        value = equals + 1;
    }
    if (validate_label_name("label", name, err) != 0 ||
        (value && validate_label_value("label", value, err) != 0))
        return -1;
    json_put_key(w, name);
    json_put_str(w, NULL, value);
    return 0;
}

int selector_parse(const char *text, char **ret_json, struct err *err)
{
    *ret_json = NULL;
    if (!text)
        return 0;
    struct buf auto_buf out = {0};
    struct json_writer w = JSON_WRITER(&out);
    json_open(&w, NULL, '{');
    for (int count = 0; *text; count++) {
        size_t len = strcspn(text, ",");
        if (count == LIMIT_LABELS)
            return err_field(err, "label", "label: at most %d pairs", LIMIT_LABELS);
        if (put_pair(text, len, &w, err) != 0)
            return -1;
        text += len;
        text += *text == ',';
    }
    json_close(&w, '}');
    *ret_json = buf_take(&out);
    return 0;
}
