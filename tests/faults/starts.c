/* The hook, and the file it writes; see starts.h. */
#include "tests/faults/starts.h"

#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "tests/lib/cloud.h"

/* $1 is the domain's name, $2 the operation; its XML comes in, with the run in our metadata.
 * One write in append mode a line, so that starts at the same time do not mix. Where it fails
 * libvirt refuses the start, and the test notices. */
static const char hook[] =
    "#!/bin/sh\n"
    "[ \"$2\" = start ] || exit 0\n"
    "run=$(sed -n \"s/.*<minicloud:instance .* run=['\\\"]\\([0-9]*\\)['\\\"].*/\\1/p\")\n"
    "echo \"start ${1#mc-} run ${run:-unknown}\" >>'%s/starts'\n";

void starts_record(struct cloud *cloud)
{
    autofree char *folder = xasprintf("%s/host/etc/hooks", cloud->dir);
    autofree char *path = xasprintf("%s/qemu", folder);
    autofree char *seen = xasprintf("%s/starts", cloud->dir);
    autofree char *script = xasprintf(hook, cloud->dir);
    struct err auto_err err = {0};
    if (file_mkdirs(folder, 0711, &err) < 0 || file_write("test", seen, "", 0, 0600, &err) < 0 ||
        file_write("test", path, script, strlen(script), 0755, &err) < 0)
        cloud_fail("%s", err.msg);
}

char *starts_seen(struct cloud *cloud)
{
    autofree char *path = xasprintf("%s/starts", cloud->dir);
    struct buf text = {0};
    struct err auto_err err = {0};
    if (file_read(path, 64 << 20, &text, &err) < 0)
        cloud_fail("%s", err.msg);
    return buf_take(&text);
}
