/* A disk that fails, for a program that this is preloaded into: what it writes below the folder
 * DISK is spoiled as the first letter of the file DISK_FAULT says: `f`ull, `r`ead-only, `e`rrors,
 * `s`low. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char fault(int fd)
{
    char link[64], path[4096], letter = 0;
    const char *folder = getenv("DISK"), *file = getenv("DISK_FAULT");
    if (!folder || !file)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)))
        return 0;
    int told = syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
    if (told < 0)
        return 0;
    if (syscall(SYS_read, told, &letter, 1) != 1)
        letter = 0;
    syscall(SYS_close, told);
    return letter;
}

static int spoiled(int fd)
{
    switch (fault(fd)) {
    case 'f': errno = ENOSPC; return 1;
    case 'r': errno = EROFS; return 1;
    case 'e': errno = EIO; return 1;
    default: return 0;
    }
}

static int synced(int fd, long call)
{
    if (spoiled(fd))
        return -1;
    if (fault(fd) == 's')
        usleep(300000);
    return syscall(call, fd);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at)
{
    return spoiled(fd) ? -1 : syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return pwrite64(fd, data, size, at);
}

ssize_t write(int fd, const void *data, size_t size)
{
    return spoiled(fd) ? -1 : syscall(SYS_write, fd, data, size);
}

int ftruncate64(int fd, off_t size)
{
    return spoiled(fd) ? -1 : syscall(SYS_ftruncate, fd, size);
}

int fsync(int fd) { return synced(fd, SYS_fsync); }

int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
