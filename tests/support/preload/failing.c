/* Fails chosen calls of the system, for files below chosen folders only, as a broken disk or a full machine does.

   A process gives its orders with arm(), or finds them in the variable FAILING when it starts. Without orders every
   call passes. Orders are words with | between:

       folder|folder|kind|nth|errno|forever|size|log

   The nth call of the kind fails with errno, and when `forever` is 1 so do all later ones. "count" as the kind fails
   nothing. A line of the log says of a call (in a count, of every call): process, kind, number, errno and path.
   `size` is the least number of bytes of an allocation that counts, 0 for none. Needs glibc 2.33, where stat is a function. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "paths.h"

enum kind { OPEN, READ, WRITE, FLUSH, CLOSE, RENAME, MKDIR, UNLINK, LOCK, STAT, LIST, TRUNCATE, MAP, ALLOCATE, COUNT };
static const char *const NAMES[] = {"open", "read", "write", "flush", "close", "rename", "mkdir", "unlink",
                                    "lock", "stat", "list", "truncate", "map", "allocate", "count"};

static struct {
    int armed, kind, error, forever, log;
    long nth, size;
    char folders[2][LONGEST];
} orders;
static atomic_long calls[COUNT];

int arm(const char *words)
{
    char copy[3 * LONGEST], *rest = copy, *word[8];
    snprintf(copy, sizeof copy, "%s", words);
    for (int i = 0; i < 8; i++)
        if ((word[i] = strsep(&rest, "|")) == NULL) return -1;
    snprintf(orders.folders[0], LONGEST, "%s", word[0]);
    snprintf(orders.folders[1], LONGEST, "%s", word[1]);
    for (orders.kind = 0; orders.kind < COUNT && strcmp(NAMES[orders.kind], word[2]); orders.kind++) {}
    orders.nth = atol(word[3]);
    orders.error = atoi(word[4]);
    orders.forever = atoi(word[5]);
    orders.size = atol(word[6]);
    int log = syscall(SYS_openat, AT_FDCWD, word[7], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    orders.log = syscall(SYS_fcntl, log, F_DUPFD_CLOEXEC, 700);
    syscall(SYS_close, log);
    for (int i = 0; i < COUNT; i++) calls[i] = 0;
    orders.armed = 1;
    return orders.log;
}

void disarm(void) { orders.armed = 0; }

__attribute__((constructor)) static void start(void)
{
    const char *words = getenv("FAILING");
    if (words != NULL) arm(words);
}

/* Count a call; true, with errno set, when it must fail. */
static int counts(int kind, const char *path)
{
    long number = ++calls[kind];
    int fails = kind == orders.kind && (orders.forever ? number >= orders.nth : number == orders.nth);
    if (fails || orders.kind == COUNT) {
        char line[LONGEST + 100];
        int length = snprintf(line, sizeof line, "%d %s %ld %d %s\n", (int)getpid(), NAMES[kind], number,
                              fails ? orders.error : 0, path);
        syscall(SYS_write, orders.log, line, length);
    }
    if (fails) errno = orders.error;
    return fails;
}

static int watched(int kind) { return orders.armed && (kind == orders.kind || orders.kind == COUNT); }

static int fails_at(int kind, int folder, const char *path)
{
    char full[LONGEST];
    if (!watched(kind) || path == NULL) return 0;
    absolute(folder, path, full);
    return (below(orders.folders[0], full) || below(orders.folders[1], full)) && counts(kind, full);
}

static int fails_on(int kind, int descriptor)
{
    char full[LONGEST];
    if (!watched(kind) || descriptor < 0) return 0;
    path_of(descriptor, full);
    return (below(orders.folders[0], full) || below(orders.folders[1], full)) && counts(kind, full);
}

static int fails_to_allocate(size_t size)
{
    return watched(ALLOCATE) && orders.size > 0 && (long)size >= orders.size && counts(ALLOCATE, "memory");
}

#define MODE(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, last); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

/* clang-format off */
#define OPENS(name) int name(const char *path, int flags, ...) \
    { MODE(flags, flags) REAL(name); return fails_at(OPEN, AT_FDCWD, path) ? -1 : real(path, flags, mode); }
#define OPENS_AT(name) int name(int folder, const char *path, int flags, ...) \
    { MODE(flags, flags) REAL(name); return fails_at(OPEN, folder, path) ? -1 : real(folder, path, flags, mode); }
#define OPENS_STREAM(name) FILE *name(const char *path, const char *how) \
    { REAL(name); return fails_at(OPEN, AT_FDCWD, path) ? NULL : real(path, how); }
OPENS(open) OPENS(open64) OPENS_AT(openat) OPENS_AT(openat64) OPENS_STREAM(fopen) OPENS_STREAM(fopen64)

ssize_t read(int file, void *to, size_t size) { REAL(read); return fails_on(READ, file) ? -1 : real(file, to, size); }
ssize_t readv(int file, const struct iovec *to, int count)
    { REAL(readv); return fails_on(READ, file) ? -1 : real(file, to, count); }
#define PREADS(name, offset) ssize_t name(int file, void *to, size_t size, offset at) \
    { REAL(name); return fails_on(READ, file) ? -1 : real(file, to, size, at); }
PREADS(pread, off_t) PREADS(pread64, off64_t)

ssize_t write(int file, const void *from, size_t size)
    { REAL(write); return fails_on(WRITE, file) ? -1 : real(file, from, size); }
ssize_t writev(int file, const struct iovec *from, int count)
    { REAL(writev); return fails_on(WRITE, file) ? -1 : real(file, from, count); }
#define PWRITES(name, offset) ssize_t name(int file, const void *from, size_t size, offset at) \
    { REAL(name); return fails_on(WRITE, file) ? -1 : real(file, from, size, at); }
PWRITES(pwrite, off_t) PWRITES(pwrite64, off64_t)
size_t fwrite(const void *from, size_t size, size_t count, FILE *stream)
    { REAL(fwrite); return fails_on(WRITE, fileno(stream)) ? 0 : real(from, size, count, stream); }

int fsync(int file) { REAL(fsync); return fails_on(FLUSH, file) ? -1 : real(file); }
int fdatasync(int file) { REAL(fdatasync); return fails_on(FLUSH, file) ? -1 : real(file); }

/* Like the system's, a close that fails has closed the file. */
int close(int file)
{
    REAL(close);
    int fails = fails_on(CLOSE, file), result = real(file);
    if (fails) errno = orders.error;
    return fails ? -1 : result;
}

int rename(const char *from, const char *to)
    { REAL(rename); return fails_at(RENAME, AT_FDCWD, to) ? -1 : real(from, to); }
int renameat(int folder, const char *from, int other, const char *to)
    { REAL(renameat); return fails_at(RENAME, other, to) ? -1 : real(folder, from, other, to); }
int mkdir(const char *path, mode_t mode)
    { REAL(mkdir); return fails_at(MKDIR, AT_FDCWD, path) ? -1 : real(path, mode); }
int mkdirat(int folder, const char *path, mode_t mode)
    { REAL(mkdirat); return fails_at(MKDIR, folder, path) ? -1 : real(folder, path, mode); }
int unlink(const char *path) { REAL(unlink); return fails_at(UNLINK, AT_FDCWD, path) ? -1 : real(path); }
int rmdir(const char *path) { REAL(rmdir); return fails_at(UNLINK, AT_FDCWD, path) ? -1 : real(path); }
int unlinkat(int folder, const char *path, int flags)
    { REAL(unlinkat); return fails_at(UNLINK, folder, path) ? -1 : real(folder, path, flags); }

int flock(int file, int how) { REAL(flock); return fails_on(LOCK, file) ? -1 : real(file, how); }
#define CONTROLS(name) int name(int file, int command, ...) \
    { va_list rest; va_start(rest, command); void *argument = va_arg(rest, void *); va_end(rest); REAL(name); \
      int locks = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW; \
      return locks && fails_on(LOCK, file) ? -1 : real(file, command, argument); }
CONTROLS(fcntl) CONTROLS(fcntl64)

#define STATS(name, what) int name(const char *path, struct what *state) \
    { REAL(name); return fails_at(STAT, AT_FDCWD, path) ? -1 : real(path, state); }
#define STATS_OPEN(name, what) int name(int file, struct what *state) \
    { REAL(name); return fails_on(STAT, file) ? -1 : real(file, state); }
#define STATS_AT(name, what) int name(int folder, const char *path, struct what *state, int flags) \
    { REAL(name); return fails_at(STAT, folder, path) ? -1 : real(folder, path, state, flags); }
STATS(stat, stat) STATS(stat64, stat64) STATS(lstat, stat) STATS(lstat64, stat64)
STATS_OPEN(fstat, stat) STATS_OPEN(fstat64, stat64) STATS_AT(fstatat, stat) STATS_AT(fstatat64, stat64)
int statx(int folder, const char *path, int flags, unsigned mask, struct statx *state)
    { REAL(statx); return fails_at(STAT, folder, path) ? -1 : real(folder, path, flags, mask, state); }
int access(const char *path, int how) { REAL(access); return fails_at(STAT, AT_FDCWD, path) ? -1 : real(path, how); }
int faccessat(int folder, const char *path, int how, int flags)
    { REAL(faccessat); return fails_at(STAT, folder, path) ? -1 : real(folder, path, how, flags); }

DIR *opendir(const char *path) { REAL(opendir); return fails_at(LIST, AT_FDCWD, path) ? NULL : real(path); }
DIR *fdopendir(int folder) { REAL(fdopendir); return fails_on(LIST, folder) ? NULL : real(folder); }
struct dirent *readdir(DIR *folder) { REAL(readdir); return fails_on(LIST, dirfd(folder)) ? NULL : real(folder); }
struct dirent64 *readdir64(DIR *folder)
    { REAL(readdir64); return fails_on(LIST, dirfd(folder)) ? NULL : real(folder); }

int ftruncate(int file, off_t size) { REAL(ftruncate); return fails_on(TRUNCATE, file) ? -1 : real(file, size); }
int ftruncate64(int file, off64_t size) { REAL(ftruncate64); return fails_on(TRUNCATE, file) ? -1 : real(file, size); }

#define MAPS(name, offset) void *name(void *place, size_t size, int access, int how, int file, offset at) \
    { REAL(name); int fails = file < 0 ? fails_to_allocate(size) : fails_on(MAP, file); \
      return fails ? MAP_FAILED : real(place, size, access, how, file, at); }
MAPS(mmap, off_t) MAPS(mmap64, off64_t)

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
void *malloc(size_t size) { return fails_to_allocate(size) ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails_to_allocate(count * size) ? NULL : __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return fails_to_allocate(size) ? NULL : __libc_realloc(old, size); }
int posix_memalign(void **place, size_t alignment, size_t size)
{
    if (fails_to_allocate(size) || (*place = __libc_memalign(alignment, size)) == NULL) return ENOMEM;
    return 0;
}
