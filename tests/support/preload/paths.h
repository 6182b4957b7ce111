/* What both libraries need: which file a call is about, and calls of the system that do not pass through themselves. */

#ifndef PATHS_H
#define PATHS_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LONGEST 4096

/* Define `name` as a pointer to the function that this library replaces. */
#define REAL(name) \
    static __typeof__(name) *real; \
    if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* The path behind an open descriptor; an empty one when there is none. */
static inline void path_of(int descriptor, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, LONGEST - 1);
    path[length > 0 ? length : 0] = 0;
}

/* `path`, seen from the folder `descriptor`, as a path from the root. */
static inline void absolute(int descriptor, const char *path, char *result)
{
    size_t length = 0;
    result[0] = 0;
    if (path[0] != '/') {
        if (descriptor != AT_FDCWD) {
            path_of(descriptor, result);
            length = strlen(result);
        } else {
            long size = syscall(SYS_getcwd, result, LONGEST - 1);
            length = size > 0 ? (size_t)size - 1 : 0;
        }
        if (path[0] != 0) result[length++] = '/';
    }
    snprintf(result + length, LONGEST - length, "%s", path);
}

/* Whether a path is a folder or below it. */
static inline int below(const char *folder, const char *path)
{
    size_t length = strlen(folder);
    return length && strncmp(folder, path, length) == 0 && (path[length] == '/' || path[length] == 0);
}

#endif
