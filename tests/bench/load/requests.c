/* HTTP requests at a steady rate, every other over a new connection, the others over kept ones; each failure with its
 * time. Ends when its standard input ends, or after the seconds it was given. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    KEPT_A_TARGET = 4,    /* kept connections: each is used every few milliseconds at the rates here */
    FAILURES_TOLD = 3000, /* lines; more are counted */
    KINDS_MAX = 256,      /* kinds of answers: tasks times versions */
    SLOW_US = 900000,     /* below the kernel's first repeated opening, 1 s */
    ANSWER_BYTES = 512,
    SWEEP_US = 20000, /* between two looks for what timed out */
};

struct request {
    enum { FREE, OPENING, ASKED, IDLE } state;
    int descriptor, target;
    bool kept, used;
    int64_t begun;
    size_t length;
    char answer[ANSWER_BYTES];
};

static struct {
    struct request requests[ATTEMPTS_MAX];
    struct sockaddr_in targets[TARGETS_MAX];
    int events, busy, target_count, turn[TARGETS_MAX];
    const char *name;
    int64_t timeout_us;
    struct samples samples;
    unsigned long long asked, answered, late, slow, closed_idle, unserved, failed[FAILURES], failures;
    unsigned long long by_target[TARGETS_MAX];
    struct {
        char text[160];
        unsigned long long count;
    } kinds[KINDS_MAX];
} load;

static const char new_request[] = "GET / HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n";
static const char kept_request[] = "GET / HTTP/1.1\r\nHost: load\r\n\r\n";

static void release(struct request *request) {
    load.busy -= request->state == OPENING || request->state == ASKED;
    close(request->descriptor);
    request->state = FREE;
}

static void fail(struct request *request, enum failure failure) {
    int64_t took = now_us() - request->begun;
    char text[INET_ADDRSTRLEN];
    load.failed[failure]++;
    if (load.failures++ < FAILURES_TOLD)
        printf("fail %lld %lld %s %s %s\n", (long long)(epoch_us() - took), (long long)took, failure_names[failure],
               !request->kept ? "new" : request->used ? "kept" : "kept-new",
               inet_ntop(AF_INET, &load.targets[request->target].sin_addr, text, sizeof text));
    release(request);
}

static void put(struct request *request) {
    const char *text = request->kept ? kept_request : new_request;
    request->state = ASKED;
    request->length = 0;
    if (send(request->descriptor, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
        fail(request, failure_of(errno));
}

static void open_to(struct request *request, int target, bool kept) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = request};
    *request = (struct request){.state = OPENING, .target = target, .kept = kept, .begun = now_us()};
    load.busy++;
    request->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (request->descriptor < 0)
        give_up("socket");
    if (connect(request->descriptor, (struct sockaddr *)&load.targets[target], sizeof load.targets[target]) && errno != EINPROGRESS)
        fail(request, failure_of(errno));
    else if (epoll_ctl(load.events, EPOLL_CTL_ADD, request->descriptor, &event))
        give_up("epoll_ctl");
}

/* Kept connections have the first places, so many a target; new ones any other. */
static struct request *idle_of(int target) {
    for (int i = 0; i < KEPT_A_TARGET; i++) {
        int place = load.turn[target]++ % KEPT_A_TARGET;
        struct request *request = &load.requests[target * KEPT_A_TARGET + place];
        if (request->state == IDLE || request->state == FREE)
            return request;
    }
    return NULL;
}

static struct request *free_place(void) {
    static int last = TARGETS_MAX * KEPT_A_TARGET;
    for (int i = TARGETS_MAX * KEPT_A_TARGET; i < ATTEMPTS_MAX; i++) {
        last = last + 1 < ATTEMPTS_MAX ? last + 1 : TARGETS_MAX * KEPT_A_TARGET;
        if (load.requests[last].state == FREE)
            return &load.requests[last];
    }
    return NULL;
}

static void begin(void) {
    int turn = (int)(load.asked / 2 % (unsigned)load.target_count);
    bool kept = load.asked++ % 2;
    struct request *request = kept ? idle_of(turn) : free_place();
    if (request == NULL && kept) {
        request = free_place();
        kept = false;
    }
    if (request == NULL) {
        load.unserved++;
    } else if (request->state == IDLE) {
        load.busy++;
        request->begun = now_us();
        put(request);
    } else {
        open_to(request, turn, kept);
    }
}

static void note(const char *text) {
    for (int i = 0; i < KINDS_MAX; i++) {
        if (load.kinds[i].count == 0)
            snprintf(load.kinds[i].text, sizeof load.kinds[i].text, "%s", text);
        if (strcmp(load.kinds[i].text, text) == 0) {
            load.kinds[i].count++;
            return;
        }
    }
}

/* The whole answer is there: is it what was asked for? */
static void judge(struct request *request, char *body) {
    char name[64], version[16], host[72], when[16], text[160];
    int64_t took = now_us() - request->begun;
    if (strncmp(request->answer, "HTTP/1.1 200 ", 13) != 0 ||
        sscanf(body, "%63s %15s %71s %15s", name, version, host, when) != 4 || strcmp(name, load.name) != 0) {
        fail(request, WRONG);
        return;
    }
    load.answered++;
    load.by_target[request->target]++;
    load.late += strcmp(when, "late") == 0;
    load.slow += took > SLOW_US;
    samples_add(&load.samples, took);
    snprintf(text, sizeof text, "%s/%s", host, version);
    note(text);
    if (!request->kept || strstr(request->answer, "Connection: close") != NULL) {
        release(request);
        return;
    }
    request->used = true;
    request->state = IDLE;
    load.busy--;
}

static void receive(struct request *request) {
    ssize_t length = read(request->descriptor, request->answer + request->length, ANSWER_BYTES - 1 - request->length);
    char *body, *size;
    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0 && request->state == IDLE) {
        load.closed_idle++;
        release(request);
        return;
    }
    if (length <= 0) {
        fail(request, length == 0 ? CLOSED : failure_of(errno));
        return;
    }
    request->length += (size_t)length;
    request->answer[request->length] = '\0';
    body = strstr(request->answer, "\r\n\r\n");
    size = strstr(request->answer, "Content-Length: ");
    if (request->state == ASKED && body && size && strlen(body + 4) >= (size_t)atol(size + 16))
        judge(request, body + 4);
    else if (request->state != ASKED || request->length == ANSWER_BYTES - 1)
        fail(request, WRONG);
}

static void heed(struct request *request) {
    int error = 0;
    socklen_t size = sizeof error;
    if (request->state == FREE)
        return;
    if (request->state != OPENING) {
        receive(request);
        return;
    }
    getsockopt(request->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        fail(request, failure_of(error));
    else
        put(request);
}

static void sweep(void) {
    int64_t now = now_us();
    for (int i = 0; i < ATTEMPTS_MAX; i++)
        if ((load.requests[i].state == OPENING || load.requests[i].state == ASKED) &&
            now - load.requests[i].begun > load.timeout_us)
            fail(&load.requests[i], TIMEOUT);
}

static void report(int64_t us, struct repeats repeats) {
    printf("asked %llu\nanswered %llu\nus %lld\nlate %llu\nslow %llu\nclosed_idle %llu\nunserved %llu\n", load.asked,
           load.answered, (long long)us, load.late, load.slow, load.closed_idle, load.unserved);
    for (int i = 0; i < FAILURES; i++)
        printf("%s %llu\n", failure_names[i], load.failed[i]);
    for (int i = 0; i < KINDS_MAX && load.kinds[i].count; i++)
        printf("answers_%s %llu\n", load.kinds[i].text, load.kinds[i].count);
    for (int i = 0; i < load.target_count; i++) {
        char text[INET_ADDRSTRLEN];
        printf("through_%s %llu\n", inet_ntop(AF_INET, &load.targets[i].sin_addr, text, sizeof text), load.by_target[i]);
    }
    samples_print(&load.samples, "request");
    repeats_print(repeats);
}

int requests(int count, char **words) {
    long a_second = number(words[0], 1, 100000);
    int64_t seconds_us = number(words[1], 1, 3600) * 1000000, begun, swept;
    struct epoll_event events[256], input = {.events = EPOLLIN, .data.ptr = NULL};
    struct repeats repeats = repeats_now();
    bool more = true;
    load.timeout_us = number(words[2], 1, 60000) * 1000;
    load.name = words[3];
    load.target_count = count - 4 < TARGETS_MAX ? count - 4 : TARGETS_MAX;
    for (int i = 0; i < load.target_count; i++)
        load.targets[i] = target(words[4 + i]);
    raise_descriptors();
    samples_make(&load.samples);
    load.events = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(load.events, EPOLL_CTL_ADD, 0, &input))
        give_up("the standard input must be a pipe");
    begun = swept = now_us();
    while (more || load.busy > 0) {
        int64_t now = now_us(), due = begun + (int64_t)(load.asked + 1) * 1000000 / a_second - now;
        struct timespec wait = {.tv_nsec = !more || due > SWEEP_US ? SWEEP_US * 1000 : due < 0 ? 0 : due * 1000};
        int ready = epoll_pwait2(load.events, events, 256, &wait, NULL);
        for (int i = 0; i < ready; i++) {
            char byte;
            if (events[i].data.ptr != NULL)
                heed(events[i].data.ptr);
            else if (read(0, &byte, 1) <= 0 && epoll_ctl(load.events, EPOLL_CTL_DEL, 0, NULL) == 0)
                more = false;
        }
        now = now_us();
        more = more && now - begun < seconds_us;
        while (more && (now - begun) * a_second / 1000000 > (int64_t)load.asked)
            begin();
        if (now - swept > SWEEP_US) {
            sweep();
            swept = now;
        }
    }
    report(now_us() - begun, repeats);
    return 0;
}
