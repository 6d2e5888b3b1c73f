/* How much disk this host has to give; see space.h. The file system may hold other things
 * than ours: those are not to be given away. */
#include "node-agent/host/space.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "node-agent/xml/facts.h"

enum { STAT_BLOCK = 512 };

int64_t space_taken(const char *pool_path)
{
    int64_t bytes = 0;
    char id[ID_TEXT_MAX];
    struct stat st;
    DIR *dir = opendir(pool_path);
    if (!dir)
        return 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (volume_owner(e->d_name, id) &&
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            bytes += (int64_t)st.st_blocks * STAT_BLOCK;
    }
    closedir(dir);
    return bytes;
}

int64_t space_ours(const char *pool_path)
{
    struct statvfs fs;
    if (statvfs(pool_path, &fs) != 0)
        return 0;
    return (int64_t)((uint64_t)fs.f_bavail * fs.f_frsize) + space_taken(pool_path);
}

int64_t space_settle(int64_t told_gib, int64_t gib)
{
    int64_t off = gib > told_gib ? gib - told_gib : told_gib - gib;
    int64_t slack = told_gib / 100 > 1 ? told_gib / 100 : 1;
    return told_gib == 0 || off > slack ? gib : told_gib;
}
