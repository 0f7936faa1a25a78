/* Queries for a name's addresses over UDP: so many sockets with one query each under way, as fast as they are answered or
 * so many a second. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    ASKERS_MAX = 256,
    MESSAGE_BYTES = 512,    /* of a message over UDP without EDNS */
    HEADER_BYTES = 12,
    TIMEOUT_US = 1000000,   /* far above what is wanted, 2 ms */
};

struct asker {
    int descriptor;
    bool waits; /* for its answer */
    uint16_t id;
    int64_t begun;
};

static struct asker askers[ASKERS_MAX];

static unsigned char query[MESSAGE_BYTES];
static size_t query_length;
static struct samples samples;
static unsigned long long done, lost, wrong;

static void make_query(const char *name) {
    unsigned char *at = query + HEADER_BYTES;
    query[2] = 1; /* recursion desired */
    query[5] = 1; /* one question */
    while (*name) {
        size_t length = strcspn(name, ".");
        if (length == 0 || length > 63 || at + length + 6 > query + sizeof query) {
            fprintf(stderr, "%s is no name\n", name);
            _exit(1);
        }
        *at++ = (unsigned char)length;
        memcpy(at, name, length);
        at += length;
        name += length + (name[length] == '.');
    }
    memcpy(at, "\0\0\1\0\1", 5); /* the root; type A, class IN */
    query_length = (size_t)(at + 5 - query);
}

static void ask(struct asker *asker) {
    uint16_t id = htons(++asker->id);
    memcpy(query, &id, sizeof id);
    asker->waits = true;
    asker->begun = now_us();
    if (send(asker->descriptor, query, query_length, 0) != (ssize_t)query_length)
        give_up("a query");
}

static void hear(struct asker *asker) {
    unsigned char answer[MESSAGE_BYTES];
    ssize_t length = recv(asker->descriptor, answer, sizeof answer, MSG_DONTWAIT);
    if (length < HEADER_BYTES || (answer[0] << 8 | answer[1]) != asker->id)
        return;
    samples_add(&samples, now_us() - asker->begun);
    /* An answer, no error, at least one record. */
    if ((answer[2] & 0x80) && (answer[3] & 0x0f) == 0 && (answer[6] << 8 | answer[7]) > 0)
        done++;
    else
        wrong++;
    asker->waits = false;
}

/* Asks by those that have their answer, as many as are due. */
static void ask_due(int amount, long a_second, int64_t begun) {
    static unsigned long long asked;
    for (int i = 0; i < amount; i++) {
        if (askers[i].waits || (a_second > 0 && (now_us() - begun) * a_second / 1000000 <= (int64_t)asked))
            continue;
        asked++;
        ask(&askers[i]);
    }
}

int resolve(int count, char **words) {
    struct epoll_event events[ASKERS_MAX];
    int amount = (int)number(words[0], 1, ASKERS_MAX), poll = epoll_create1(EPOLL_CLOEXEC);
    long a_second = number(words[1], 0, 1000000);
    int64_t seconds_us = number(words[2], 1, 60) * 1000000, begun, now;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53)};
    struct timespec wait = {.tv_nsec = a_second ? 100 * 1000 : 50 * 1000 * 1000};
    (void)count;
    if (inet_pton(AF_INET, words[3], &server.sin_addr) != 1)
        give_up("the server's address");
    make_query(words[4]);
    samples_make(&samples);
    for (int i = 0; i < amount; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &askers[i]};
        askers[i].descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (connect(askers[i].descriptor, (struct sockaddr *)&server, sizeof server) ||
            epoll_ctl(poll, EPOLL_CTL_ADD, askers[i].descriptor, &event))
            give_up("a socket");
    }
    begun = now = now_us();
    while (now - begun < seconds_us) {
        ask_due(amount, a_second, begun);
        int ready = epoll_pwait2(poll, events, ASKERS_MAX, &wait, NULL);
        for (int i = 0; i < ready; i++)
            hear(events[i].data.ptr);
        now = now_us();
        for (int i = 0; i < amount; i++)
            if (askers[i].waits && now - askers[i].begun > TIMEOUT_US) {
                lost++;
                askers[i].waits = false;
            }
    }
    printf("done %llu\nus %lld\nlost %llu\nwrong %llu\n", done, (long long)(now - begun), lost, wrong);
    samples_print(&samples, "query");
    return 0;
}
