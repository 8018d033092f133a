/* A clock that goes faster, loaded before the C library into the process under test, so that waits of minutes take
 * seconds: QUELL_HURRY says how many times as fast, QUELL_HURRY_SINCE from which second since 1970 on. All processes with
 * the same variables agree about the time. Waits for events are as much shorter; those for threads stay as they are.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    long times = number("QUELL_HURRY", 1), since = clock == CLOCK_REALTIME ? number("QUELL_HURRY_SINCE", 0) : 0;
    if (result != 0 || times == 1 || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)) return result;
    __int128 passed = ((__int128)(now->tv_sec - since) * 1000000000 + now->tv_nsec) * times;
    now->tv_sec = since + (long)(passed / 1000000000);
    now->tv_nsec = (long)(passed % 1000000000);
    return 0;
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout) {
    static int (*real)(int, struct epoll_event *, int, int);
    if (!real) real = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
    long times = number("QUELL_HURRY", 1);
    return real(fd, events, most, timeout > 0 ? (int)((timeout + times - 1) / times) : timeout);
}
