/* The floor for chamilo_perms: looks at every entry of a tree, and with "fix" gives it the owner, group and mode it is told.
   walk TREE look|fix UID GID DIRECTORY_MODE FILE_MODE */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long entries, fixed;
static int fix;
static uid_t uid;
static gid_t gid;
static mode_t directory_mode, file_mode;

static void one(int folder, const char *name, struct stat *status) {
    mode_t mode = S_ISDIR(status->st_mode) ? directory_mode : file_mode;
    entries++;
    if (!fix || S_ISLNK(status->st_mode))
        return;
    if (status->st_uid != uid || status->st_gid != gid) {
        if (fchownat(folder, name, uid, gid, AT_SYMLINK_NOFOLLOW))
            perror(name);
        fixed++;
    }
    if ((status->st_mode & 07777) != mode && fchmodat(folder, name, mode, 0))
        perror(name);
}

static void walk(int folder) {
    struct dirent *entry;
    struct stat status;
    DIR *listing = fdopendir(folder);
    if (!listing)
        exit(1);
    while ((entry = readdir(listing))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW))
            continue;
        one(folder, entry->d_name, &status);
        if (S_ISDIR(status.st_mode)) {
            int below = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            if (below >= 0)
                walk(below);
        }
    }
    closedir(listing);
}

int main(int count, char **words) {
    if (count != 7)
        return 2;
    fix = !strcmp(words[2], "fix");
    uid = atoi(words[3]);
    gid = atoi(words[4]);
    directory_mode = strtol(words[5], NULL, 8);
    file_mode = strtol(words[6], NULL, 8);
    walk(open(words[1], O_RDONLY | O_DIRECTORY));
    printf("%ld entries, %ld fixed\n", entries, fixed);
    return 0;
}
