/* The files of contexts. Their content is JSON, read strictly like the API's. */
#include "cli/remote/context.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "api/json/validate.h"
#include "api/json/wire_table.h"

enum { URL_MAX = 1024, TOKEN_MAX = 1024, FILE_MAX = 8192 };

#define STRUCT context
static const struct wire_field context_fields[] = {
    W_STR_REQ(url, URL_MAX),
    W_STR(token, TOKEN_MAX),
    W_STR(project, LIMIT_NAME),
};
static const struct wire_struct context_wire = WIRE_STRUCT(context);
#undef STRUCT

/* $XDG_CONFIG_HOME/cloudctl, where a relative XDG_CONFIG_HOME counts as none. */
static char *config_folder(struct err *err)
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (base && *base == '/')
        return xasprintf("%s/cloudctl", base);
    if (home && *home == '/')
        return xasprintf("%s/.config/cloudctl", home);
    err_set(err, ERR_USAGE, "neither XDG_CONFIG_HOME nor HOME names a folder for contexts");
    return NULL;
}

char *context_path(const char *name, struct err *err)
{
    /* The rule for names also keeps slashes and dots out of the path. */
    if (validate_name("context", name, err) != 0) {
        err_set(err, ERR_USAGE, "%s", err->msg);
        return NULL;
    }
    autofree char *folder = config_folder(err);
    return folder ? xasprintf("%s/contexts/%s.json", folder, name) : NULL;
}

static int check_private(const char *path, struct err *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return 0; /* reading it says what is wrong */
    if (info.st_mode & 077)
        return err_set(err, ERR_FORBIDDEN,
                       "%s holds a token and is open to others (mode %04o). Try: chmod 600 %s",
                       path, (unsigned)info.st_mode & 07777, path);
    if (info.st_uid != geteuid() && info.st_uid != 0 && geteuid() != 0)
        return err_set(err, ERR_FORBIDDEN, "%s belongs to another user", path);
    return 0;
}

int context_load(const char *name, struct context *ret_context, struct err *err)
{
    autofree char *path = context_path(name, err);
    if (!path || check_private(path, err) != 0)
        return -1;
    auto_buf struct buf text = {0};
    if (file_read(path, FILE_MAX, &text, err) != 0) {
        if (err->code == ERR_NOT_FOUND)
            err_set(err, ERR_NOT_FOUND, "there is no context %s. Try: cloudctl context list", name);
        return -1;
    }
    *ret_context = (struct context){0};
    if (wire_parse(&context_wire, text.data, text.len, WIRE_LENIENT, ret_context, err) != 0)
        return err_set(err, ERR_USAGE, "%s: %s%s%s", path, err->field, *err->field ? ": " : "",
                       err->msg);
    return 0;
}

int context_save(const char *name, const struct context *context, bool replace, struct err *err)
{
    autofree char *path = context_path(name, err);
    if (!path)
        return -1;
    if (!replace && access(path, F_OK) == 0)
        return err_set(err, ERR_NAME_TAKEN, "it is there already. Try: --force");
    char *slash = strrchr(path, '/');
    *slash = '\0';
    if (file_mkdirs(path, 0700, err) != 0)
        return -1;
    *slash = '/';
    auto_buf struct buf text = {0};
    struct json_writer w = JSON_WRITER(&text);
    wire_encode(&context_wire, context, &w, NULL);
    buf_putc(&text, '\n');
    return file_write("context", path, text.data, text.len, 0600, err);
}

int context_remove(const char *name, struct err *err)
{
    autofree char *path = context_path(name, err);
    if (!path)
        return -1;
    if (access(path, F_OK) != 0)
        return err_set(err, ERR_NOT_FOUND, "not found");
    return file_unlink("context", path, err);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_context_file(const char *file, char **ret_name)
{
    size_t len = strlen(file);
    if (len <= 5 || strcmp(file + len - 5, ".json") != 0)
        return false;
    *ret_name = xstrndup(file, len - 5);
    return true;
}

int context_names(struct strings *ret_names, struct err *err)
{
    autofree char *folder = config_folder(err);
    if (!folder)
        return -1;
    autofree char *path = xasprintf("%s/contexts", folder);
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? 0 : err_errno(err, "%s", path);
    for (struct dirent *entry; (entry = readdir(dir));) {
        autofree char *name = NULL;
        if (is_context_file(entry->d_name, &name))
            strings_add(ret_names, name);
    }
    closedir(dir);
    if (ret_names->count)
        qsort(ret_names->items, ret_names->count, sizeof(*ret_names->items), by_text);
    return 0;
}

int context_current(char **ret_name, struct err *err)
{
    autofree char *folder = config_folder(err);
    if (!folder)
        return -1;
    autofree char *path = xasprintf("%s/current", folder);
    auto_buf struct buf text = {0};
    *ret_name = NULL;
    if (file_read(path, LIMIT_NAME + 1, &text, err) != 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        err_clear(err);
        return 0;
    }
    text.data[strcspn(text.data, "\r\n")] = '\0';
    if (*text.data)
        *ret_name = xstrdup(text.data);
    return 0;
}

int context_set_current(const char *name, struct err *err)
{
    autofree char *folder = config_folder(err);
    if (!folder)
        return -1;
    autofree char *path = xasprintf("%s/current", folder);
    if (!name)
        return file_unlink("context", path, err);
    autofree char *line = xasprintf("%s\n", name);
    return file_write("context", path, line, strlen(line), 0600, err);
}

void context_release(struct context *context)
{
    wire_release(&context_wire, context);
    *context = (struct context){0};
}
