/* The system as a fault makes it: loaded before the C library into the process under test, it moves the wall clock,
 * fails a sync, cuts writes short, and writes down in which order files are made durable and connections opened.
 *
 * Without its variables it changes nothing:
 *   QUELL_FAULT_FOLDER  only files below this folder are touched
 *   QUELL_FAULT_CLOCK   a file that holds how far the wall clock is off, in milliseconds; read at every look at the clock
 *   QUELL_FAULT_SYNC    N: the Nth sync of a file fails with EIO, once: whoever tries again is told that all is well, as
 *                       Linux does; QUELL_FAULT_SYNC_FOLDER counts those of folders
 *   QUELL_FAULT_WRITES  short: every write takes half at most; interrupted: every other write fails with EINTR first;
 *                       told: nothing but written down;
 *                       readonly:FILE: once FILE is there, every write, sync and creation fails with EROFS
 *   QUELL_FAULT_KILL    N: the process is killed before the Nth write, sync, creation, renaming or removal of a file
 *   QUELL_FAULT_LOG     a file to which what happened is appended, a line each
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int syncs, writes, steps;

/* What is used here goes past our own functions, straight to the kernel. */
static int there(const char *path) { return syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0; }

static void note(const char *what, const char *path) {
    const char *log = getenv("QUELL_FAULT_LOG");
    if (!log) return;
    char line[4200];
    int length = snprintf(line, sizeof line, "%s %s\n", what, path);
    int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    syscall(SYS_write, fd, line, length);
    syscall(SYS_close, fd);
}

static int is_ours(const char *path) {
    const char *folder = getenv("QUELL_FAULT_FOLDER");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

/* The path of an open file, when it is below the folder. */
static int path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_ours(path);
}

static const char *mode(const char *name) {
    const char *said = getenv("QUELL_FAULT_WRITES");
    size_t length = strlen(name);
    return said && strncmp(said, name, length) == 0 ? said + length : NULL;
}

/* One more step towards the end, when an end is wanted. */
static void step(const char *path) {
    const char *last = getenv("QUELL_FAULT_KILL");
    if (!last || __atomic_add_fetch(&steps, 1, __ATOMIC_SEQ_CST) != atoi(last)) return;
    note("killed", path);
    syscall(SYS_kill, getpid(), SIGKILL);
}

static int is_readonly(const char *path) {
    const char *since = mode("readonly:");
    if (!since || !there(since)) return 0;
    note("readonly", path);
    errno = EROFS;
    return 1;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    const char *file = getenv("QUELL_FAULT_CLOCK");
    if (result != 0 || clock != CLOCK_REALTIME || !file) return result;
    int fd = syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return result;
    char text[32] = {0};
    syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    long long off = atoll(text), nanoseconds = now->tv_nsec + off % 1000 * 1000000;
    now->tv_sec += off / 1000 + (nanoseconds >= 1000000000) - (nanoseconds < 0);
    now->tv_nsec = (nanoseconds + 1000000000) % 1000000000;
    note("clock", text);
    return 0;
}

static int synced(int fd, int (*real)(int)) {
    char path[4096];
    if (!path_of(fd, path, sizeof path)) return real(fd);
    step(path);
    if (is_readonly(path)) return -1;
    struct stat found;
    int is_folder = fstat(fd, &found) == 0 && S_ISDIR(found.st_mode);
    const char *failing = getenv(is_folder ? "QUELL_FAULT_SYNC_FOLDER" : "QUELL_FAULT_SYNC");
    if (failing && __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST) == atoi(failing)) {
        note("failed", path);
        errno = EIO;
        return -1;
    }
    int result = real(fd);
    note("sync", path);
    return result;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

/* How much of a write is let through; none when it fails. */
static ssize_t let_through(int fd, size_t size) {
    char path[4096];
    if (!path_of(fd, path, sizeof path)) return size;
    step(path);
    if (is_readonly(path)) return -1;
    if (mode("interrupted") && __atomic_add_fetch(&writes, 1, __ATOMIC_SEQ_CST) % 2) {
        note("interrupted", path);
        errno = EINTR;
        return -1;
    }
    if (mode("told")) note("told", path);
    if (mode("short") && size > 1) {
        note("short", path);
        return size / 2;
    }
    return size;
}

ssize_t write(int fd, const void *from, size_t size) {
    ssize_t most = let_through(fd, size);
    return most < 0 ? -1 : REAL(write)(fd, from, most);
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at) {
    ssize_t most = let_through(fd, size);
    return most < 0 ? -1 : REAL(pwrite)(fd, from, most, at);
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
    ssize_t most = let_through(fd, size);
    return most < 0 ? -1 : REAL(pwrite64)(fd, from, most, at);
}

static int opened(const char *path, int flags, va_list more, int (*real)(const char *, int, ...)) {
    int permissions = flags & O_CREAT ? va_arg(more, int) : 0;
    int creates = flags & O_CREAT && is_ours(path) && !there(path);
    if (creates) step(path);
    if (creates && is_readonly(path)) return -1;
    int fd = real(path, flags, permissions);
    if (creates && fd >= 0) note("create", path);
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int fd = opened(path, flags, more, REAL(open));
    va_end(more);
    return fd;
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int fd = opened(path, flags, more, REAL(open64));
    va_end(more);
    return fd;
}

int rename(const char *from, const char *to) {
    if (is_ours(to)) step(to);
    if (is_ours(to) && is_readonly(to)) return -1;
    int result = REAL(rename)(from, to);
    if (result == 0 && is_ours(to)) note("rename", to);
    return result;
}

int unlink(const char *path) {
    if (is_ours(path)) step(path);
    return REAL(unlink)(path);
}

int mkdir(const char *path, mode_t permissions) {
    if (is_ours(path)) step(path);
    if (is_ours(path) && is_readonly(path)) return -1;
    int result = REAL(mkdir)(path, permissions);
    if (result == 0 && is_ours(path)) note("create", path);
    return result;
}

int connect(int socket, const struct sockaddr *to, socklen_t size) {
    if (to->sa_family == AF_INET) note("connect", "-");
    return REAL(connect)(socket, to, size);
}
