/* Records, in one log with one order, what processes do to the files below a folder.

   A process gives the folder and the log with record(), or finds them, with | between, in the variable RECORDING when
   it starts. A record is one line of text and then its bytes:

       process operation inode number length-of-path length-of-other-path length-of-bytes
       path, other path, bytes

   `number` is the offset of a write or the length of a truncated file. A flush of a file and a rename come with the
   file's whole content, so that writes that never pass through here, like those of stdio, are not missed. All
   operations of all processes take place one at a time, under a lock on the log. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "paths.h"

static char folder[LONGEST];
static int journal = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

int record(const char *words)
{
    char copy[2 * LONGEST], *place = strchr(strcpy(copy, words), '|');
    if (place == NULL) return -1;
    *place = 0;
    snprintf(folder, LONGEST, "%s", copy);
    int opened = syscall(SYS_openat, AT_FDCWD, place + 1, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    journal = syscall(SYS_fcntl, opened, F_DUPFD_CLOEXEC, 700);
    return syscall(SYS_close, opened);
}

__attribute__((constructor)) static void start(void)
{
    const char *words = getenv("RECORDING");
    if (words != NULL) record(words);
}

static int enter(const char *path)
{
    if (journal < 0 || !below(folder, path)) return 0;
    pthread_mutex_lock(&mutex);
    syscall(SYS_flock, journal, LOCK_EX);
    return 1;
}

static void leave(void)
{
    int error = errno;
    syscall(SYS_flock, journal, LOCK_UN);
    pthread_mutex_unlock(&mutex);
    errno = error;
}

static void log_bytes(const char *operation, long inode, long number, const char *path, const char *other,
                      const void *bytes, size_t size)
{
    char head[200];
    int error = errno;
    size_t length = snprintf(head, sizeof head, "%d %s %ld %ld %zu %zu %zu\n", (int)getpid(), operation, inode, number,
                             strlen(path), strlen(other), size);
    struct iovec parts[] = {{head, length}, {(void *)path, strlen(path)}, {(void *)other, strlen(other)},
                            {(void *)bytes, size}};
    syscall(SYS_writev, journal, parts, 4);
    errno = error;
}

static long inode_of(const char *path)
{
    struct stat state;
    int error = errno;
    long found = fstatat(AT_FDCWD, path, &state, AT_SYMLINK_NOFOLLOW) == 0 ? (long)state.st_ino : 0;
    errno = error;
    return found;
}

/* Log an operation with the whole content of a regular file. */
static void log_content(const char *operation, const char *file, const char *path, const char *other)
{
    struct stat state;
    int error = errno, opened = syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (opened >= 0 && fstat(opened, &state) == 0) {
        char *bytes = S_ISREG(state.st_mode) ? malloc(state.st_size + 1) : NULL;
        long size = bytes ? syscall(SYS_pread64, opened, bytes, state.st_size, 0L) : 0;
        log_bytes(operation, (long)state.st_ino, S_ISDIR(state.st_mode), path, other, bytes, size > 0 ? size : 0);
        free(bytes);
    }
    if (opened >= 0) syscall(SYS_close, opened);
    errno = error;
}

/* Say that something happened; `what` is the name of it. */
void mark(const char *what)
{
    if (!enter(folder)) return;
    log_bytes("mark", 0, 0, what, "", "", 0);
    leave();
}

static int opened(int folder_descriptor, const char *path, int flags, mode_t mode)
{
    char full[LONGEST];
    absolute(folder_descriptor, path, full);
    if (!(flags & (O_CREAT | O_TRUNC)) || !enter(full)) return syscall(SYS_openat, folder_descriptor, path, flags, mode);
    int existed = inode_of(full) != 0;
    int file = syscall(SYS_openat, folder_descriptor, path, flags, mode);
    if (file >= 0 && !existed) log_bytes("create", inode_of(full), 0, full, "", "", 0);
    if (file >= 0 && existed && flags & O_TRUNC) log_bytes("truncate", inode_of(full), 0, full, "", "", 0);
    leave();
    return file;
}

static void wrote(int file, const char *path, long offset, const void *bytes, ssize_t size)
{
    struct stat state;
    if (size > 0 && fstat(file, &state) == 0) log_bytes("write", (long)state.st_ino, offset, path, "", bytes, size);
}

/* clang-format off */
#define MODE(flags, last) mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, last); mode = va_arg(rest, mode_t); va_end(rest); }
#define OPENS(name) int name(const char *path, int flags, ...) \
    { MODE(flags, flags) return opened(AT_FDCWD, path, flags, mode); }
#define OPENS_AT(name) int name(int at, const char *path, int flags, ...) \
    { MODE(flags, flags) return opened(at, path, flags, mode); }
OPENS(open) OPENS(open64) OPENS_AT(openat) OPENS_AT(openat64)
/* clang-format on */

ssize_t write(int file, const void *from, size_t size)
{
    char path[LONGEST] = "";
    if (journal >= 0) path_of(file, path);
    if (!enter(path)) return syscall(SYS_write, file, from, size);
    ssize_t result = syscall(SYS_write, file, from, size);
    wrote(file, path, lseek(file, 0, SEEK_CUR) - result, from, result);
    leave();
    return result;
}

static ssize_t writes_at(int file, const void *from, size_t size, off64_t offset)
{
    char path[LONGEST] = "";
    if (journal >= 0) path_of(file, path);
    if (!enter(path)) return syscall(SYS_pwrite64, file, from, size, offset);
    ssize_t result = syscall(SYS_pwrite64, file, from, size, offset);
    wrote(file, path, offset, from, result);
    leave();
    return result;
}

ssize_t pwrite(int file, const void *from, size_t size, off_t offset) { return writes_at(file, from, size, offset); }
ssize_t pwrite64(int file, const void *from, size_t size, off64_t offset) { return writes_at(file, from, size, offset); }

static int truncates(int file, off64_t size)
{
    char path[LONGEST] = "";
    if (journal >= 0) path_of(file, path);
    if (!enter(path)) return syscall(SYS_ftruncate, file, size);
    int result = syscall(SYS_ftruncate, file, size);
    if (result == 0) log_bytes("truncate", inode_of(path), size, path, "", "", 0);
    leave();
    return result;
}

int ftruncate(int file, off_t size) { return truncates(file, size); }
int ftruncate64(int file, off64_t size) { return truncates(file, size); }

/* The disk itself is not asked: what it keeps is decided when the log is replayed. */
static int flushes(int file)
{
    char path[LONGEST] = "", link[64];
    if (journal >= 0) path_of(file, path);
    if (!enter(path)) return syscall(SYS_fsync, file);
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    log_content("flush", link, path, "");
    leave();
    return 0;
}

int fsync(int file) { return flushes(file); }
int fdatasync(int file) { return flushes(file); }

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    char old[LONGEST], new[LONGEST];
    absolute(from_folder, from, old);
    absolute(to_folder, to, new);
    if (!enter(new)) return syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
    int result = syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
    if (result == 0) log_content("rename", new, old, new);
    leave();
    return result;
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

static int removes(int from, const char *path, int flags)
{
    char full[LONGEST];
    absolute(from, path, full);
    if (!enter(full)) return syscall(SYS_unlinkat, from, path, flags);
    int result = syscall(SYS_unlinkat, from, path, flags);
    if (result == 0) log_bytes("remove", 0, 0, full, "", "", 0);
    leave();
    return result;
}

int unlinkat(int from, const char *path, int flags) { return removes(from, path, flags); }
int unlink(const char *path) { return removes(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return removes(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int at, const char *path, mode_t mode)
{
    char full[LONGEST];
    absolute(at, path, full);
    if (!enter(full)) return syscall(SYS_mkdirat, at, path, mode);
    int result = syscall(SYS_mkdirat, at, path, mode);
    if (result == 0) log_bytes("mkdir", 0, 0, full, "", "", 0);
    leave();
    return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
