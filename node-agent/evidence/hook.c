/* The links to the hook; see hook.h. */
#include "node-agent/evidence/hook.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/file.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "node-agent/world.h"

#define PROGRAM "cloud-node-hook" /* in the agent's own folder */

static int find_program(char out[PATH_MAX], struct err *err)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0)
        return err_errno(err, "cannot tell where this program is");
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    if (snprintf(out, PATH_MAX, "%s/" PROGRAM, self) >= PATH_MAX)
        return err_set(err, ERR_INVALID, "the path of " PROGRAM " is too long");
    return access(out, X_OK) == 0 ? 0 : err_errno(err, "cannot run %s", out);
}

static bool points_to(const char *path, const char *target)
{
    char is[PATH_MAX];
    ssize_t len = readlink(path, is, sizeof is);
    return len == (ssize_t)strlen(target) && memcmp(is, target, (size_t)len) == 0;
}

static int ensure_link(const char *path, const char *target, bool *changed, struct err *err)
{
    struct stat st;
    if (points_to(path, target))
        return 0;
    if (lstat(path, &st) == 0 && !S_ISLNK(st.st_mode))
        return err_set(err, ERR_CONFLICT, "%s is there, and is no link of ours", path);
    if (file_unlink("hook", path, err) || FAILPOINT("file.symlink:hook", err))
        return -1;
    if (symlink(target, path) != 0)
        return err_errno(err, "cannot make the link %s", path);
    FAILPOINT_VOID("file.symlink:hook.after");
    *changed = true;
    return 0;
}

int hook_install(const struct settings *settings, bool *ret_changed, struct err *err)
{
    char program[PATH_MAX];
    *ret_changed = false;
    if (find_program(program, err) || file_mkdirs(settings->state_dir, 0700, err) ||
        file_mkdirs(settings->hook_dir, 0755, err))
        return -1;
    autofree char *state = realpath(settings->state_dir, NULL);
    if (!state)
        return err_errno(err, "cannot tell where %s is", settings->state_dir);
    autofree char *own = xasprintf("%s/libvirt-hook", state);
    /* Named after the pool, which no two agents of one host share. */
    autofree char *drop_in = xasprintf("%s/%s", settings->hook_dir, settings->pool);
    return ensure_link(own, program, ret_changed, err) ||
                   ensure_link(drop_in, own, ret_changed, err)
               ? -1
               : 0;
}

void hook_ensure(const struct settings *settings)
{
    auto_err struct err err = {0};
    bool changed;
    if (!settings->hook_dir[0])
        return;
    if (hook_install(settings, &changed, &err))
        log_warn("hook.not_installed",
                 "error=\"%s\" hint=\"the end of a guest that ends while this agent is not "
                 "running will not be known exactly\"",
                 err.msg);
    else if (changed)
        log_info("hook.installed", "path=%s/%s hint=\"libvirtd uses it from its next start on\"",
                 settings->hook_dir, settings->pool);
}
