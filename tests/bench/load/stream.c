/* Throughput: streams that send as fast as they can, and what their receivers say they received. */
#define _GNU_SOURCE
#include "load.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    STREAMS_MAX = 16,
    CHUNK_BYTES = 128 * 1024, /* sent at once: more makes nothing faster */
    PATIENCE_S = 10,          /* for the receiver's count */
};

struct one {
    pthread_t thread;
    struct sockaddr_in to;
    int64_t until;
    unsigned long long received;
};

static void *send_all(void *given) {
    static char chunk[CHUNK_BYTES];
    struct one *one = given;
    struct timeval patience = {.tv_sec = PATIENCE_S};
    char count[32] = "";
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(peer, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(peer, (struct sockaddr *)&one->to, sizeof one->to))
        give_up("connect");
    while (now_us() < one->until)
        if (write(peer, chunk, sizeof chunk) <= 0)
            give_up("write");
    shutdown(peer, SHUT_WR);
    if (read(peer, count, sizeof count - 1) <= 0)
        give_up("the receiver's count");
    one->received = strtoull(count, NULL, 10);
    close(peer);
    return NULL;
}

int stream(int count, char **words) {
    struct one streams[STREAMS_MAX] = {0};
    long amount = number(words[0], 1, STREAMS_MAX), seconds_ms = number(words[1], 1, 60) * 1000;
    struct repeats repeats = repeats_now();
    int64_t begun = now_us();
    unsigned long long received = 0;
    for (int i = 0; i < amount; i++) {
        streams[i].to = target(words[2 + i % (count - 2)]);
        streams[i].until = begun + seconds_ms * 1000;
        if (pthread_create(&streams[i].thread, NULL, send_all, &streams[i]))
            give_up("pthread_create");
    }
    for (int i = 0; i < amount; i++) {
        pthread_join(streams[i].thread, NULL);
        received += streams[i].received;
    }
    printf("bytes %llu\nus %lld\n", received, (long long)(now_us() - begun));
    repeats_print(repeats);
    return 0;
}
