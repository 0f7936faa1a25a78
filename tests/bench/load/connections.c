/* New connections: connect, a byte each way, closed by the server first; as many as can be, or so many a second. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    TIMEOUT_US = 5000000, /* above two repeated openings of the kernel's (1 s, 3 s) */
    SWEEP_US = 50000,     /* between two looks for what timed out */
};

struct attempt {
    int descriptor; /* -1: free */
    bool open, answered;
    int64_t begun;
};

static struct {
    struct attempt attempts[ATTEMPTS_MAX];
    int free[ATTEMPTS_MAX], free_count;
    int events, active;
    struct samples opening, whole;
    unsigned long long done, done_in_time, failed[FAILURES], answers[256];
} load;

static void finish(struct attempt *attempt) {
    close(attempt->descriptor);
    attempt->descriptor = -1;
    load.free[load.free_count++] = (int)(attempt - load.attempts);
    load.active--;
}

static void fail(struct attempt *attempt, enum failure failure) {
    load.failed[failure]++;
    finish(attempt);
}

static void begin(const struct sockaddr_in *to) {
    struct attempt *attempt = &load.attempts[load.free[--load.free_count]];
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = attempt};
    *attempt = (struct attempt){.descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (attempt->descriptor < 0)
        give_up("socket");
    load.active++;
    attempt->begun = now_us();
    if (connect(attempt->descriptor, (const struct sockaddr *)to, sizeof *to) && errno != EINPROGRESS)
        fail(attempt, failure_of(errno));
    else if (epoll_ctl(load.events, EPOLL_CTL_ADD, attempt->descriptor, &event))
        give_up("epoll_ctl");
}

static void opened(struct attempt *attempt) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(attempt->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        fail(attempt, failure_of(error));
        return;
    }
    attempt->open = true;
    samples_add(&load.opening, now_us() - attempt->begun);
    if (write(attempt->descriptor, "?", 1) != 1)
        fail(attempt, failure_of(errno));
}

static void receive(struct attempt *attempt) {
    unsigned char byte;
    ssize_t length;
    while ((length = read(attempt->descriptor, &byte, 1)) == 1) {
        load.answers[byte]++;
        attempt->answered = true;
    }
    if (length < 0 && errno == EAGAIN)
        return;
    if (length < 0) {
        fail(attempt, failure_of(errno));
    } else if (!attempt->answered) {
        fail(attempt, CLOSED);
    } else {
        samples_add(&load.whole, now_us() - attempt->begun);
        load.done++;
        finish(attempt);
    }
}

static void heed(struct attempt *attempt) {
    if (attempt->descriptor >= 0 && !attempt->open)
        opened(attempt);
    else if (attempt->descriptor >= 0)
        receive(attempt);
}

static void sweep(int at_once) {
    int64_t now = now_us();
    for (int i = 0; i < at_once; i++)
        if (load.attempts[i].descriptor >= 0 && now - load.attempts[i].begun > TIMEOUT_US)
            fail(&load.attempts[i], TIMEOUT);
}

static void report(int64_t us, struct repeats repeats) {
    printf("done %llu\ndone_in_time %llu\nus %lld\n", load.done, load.done_in_time, (long long)us);
    for (int i = 0; i < FAILURES; i++)
        printf("%s %llu\n", failure_names[i], load.failed[i]);
    for (int i = 0; i < 256; i++)
        if (load.answers[i])
            printf("answers_%d %llu\n", i, load.answers[i]);
    samples_print(&load.opening, "connect");
    samples_print(&load.whole, "whole");
    repeats_print(repeats);
}

int connections(int count, char **words) {
    int at_once = (int)number(words[0], 1, ATTEMPTS_MAX), target_count = count - 4;
    long a_second = number(words[1], 0, 1000000), most = number(words[3], 0, 100000000);
    int64_t seconds_us = number(words[2], 1, 600) * 1000000, begun, swept, now, in_time = 0;
    struct sockaddr_in targets[TARGETS_MAX];
    struct epoll_event events[256];
    struct repeats repeats = repeats_now();
    unsigned long long started = 0;
    for (int i = 0; i < target_count && i < TARGETS_MAX; i++)
        targets[i] = target(words[4 + i]);
    for (int i = 0; i < at_once; i++) {
        load.attempts[i].descriptor = -1;
        load.free[load.free_count++] = i;
    }
    raise_descriptors();
    samples_make(&load.opening);
    samples_make(&load.whole);
    load.events = epoll_create1(EPOLL_CLOEXEC);
    begun = swept = now = now_us();
    for (;;) {
        bool more = now - begun < seconds_us && (most == 0 || started < (unsigned long long)most);
        /* What ends later, after repeated openings perhaps, is no part of the rate. */
        if (more) {
            load.done_in_time = load.done;
            in_time = now - begun;
        }
        struct timespec wait = {.tv_nsec = SWEEP_US * 1000};
        if (!more && load.active == 0)
            break;
        while (more && load.free_count > 0 && (a_second == 0 || (now_us() - begun) * a_second / 1000000 > (int64_t)started)) {
            begin(&targets[started++ % (unsigned)target_count]);
            more = most == 0 || started < (unsigned long long)most;
        }
        if (more && a_second > 0) {
            int64_t until = begun + ((int64_t)started + 1) * 1000000 / a_second - now_us();
            wait.tv_nsec = until < 0 ? 0 : until < SWEEP_US ? until * 1000 : SWEEP_US * 1000;
        }
        int ready = epoll_pwait2(load.events, events, 256, &wait, NULL);
        for (int i = 0; i < ready; i++)
            heed(events[i].data.ptr);
        now = now_us();
        if (now - swept > SWEEP_US) {
            sweep(at_once);
            swept = now;
        }
    }
    report(in_time, repeats);
    return 0;
}
