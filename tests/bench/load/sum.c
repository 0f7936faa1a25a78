/* Clocks, numbers, latencies and the kernel's counters. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

const char *const failure_names[FAILURES] = {"refused", "reset", "closed", "timeout", "unreachable", "wrong"};

static int64_t clock_us(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

int64_t now_us(void) { return clock_us(CLOCK_MONOTONIC); }

int64_t epoch_us(void) { return clock_us(CLOCK_REALTIME); }

void give_up(const char *what) {
    perror(what);
    exit(1);
}

long number(const char *word, long least, long most) {
    char *end;
    long value = strtol(word, &end, 10);
    if (*word == '\0' || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "%s is no number between %ld and %ld\n", word, least, most);
        exit(1);
    }
    return value;
}

struct sockaddr_in target(const char *word) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    char text[64];
    const char *colon = strchr(word, ':');
    if (colon == NULL || colon - word >= (long)sizeof text) {
        fprintf(stderr, "%s is no ADDRESS:PORT\n", word);
        exit(1);
    }
    memcpy(text, word, (size_t)(colon - word));
    text[colon - word] = '\0';
    address.sin_port = htons((uint16_t)number(colon + 1, 1, 65535));
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1) {
        fprintf(stderr, "%s is no IPv4 address\n", text);
        exit(1);
    }
    return address;
}

enum failure failure_of(int error) {
    switch (error) {
    case ECONNREFUSED: return REFUSED;
    case ECONNRESET:
    case EPIPE: return RESET;
    case ETIMEDOUT: return TIMEOUT;
    default: return UNREACHABLE;
    }
}

void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        give_up("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        give_up("setrlimit");
}

void samples_make(struct samples *samples) {
    samples->us = malloc(SAMPLES_MAX * sizeof *samples->us);
    samples->count = 0;
    if (samples->us == NULL)
        give_up("memory for latencies");
}

void samples_add(struct samples *samples, int64_t us) {
    if (samples->count < SAMPLES_MAX)
        samples->us[samples->count++] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void samples_print(struct samples *samples, const char *name) {
    static const struct {
        const char *suffix;
        int per_mille;
    } marks[] = {{"p50", 500}, {"p99", 990}, {"p999", 999}};
    if (samples->count == 0)
        return;
    qsort(samples->us, samples->count, sizeof *samples->us, compare);
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        printf("%s_%s_us %u\n", name, marks[i].suffix, samples->us[samples->count * (size_t)marks[i].per_mille / 1000]);
    printf("%s_max_us %u\n", name, samples->us[samples->count - 1]);
}

/* A counter of /proc/net/snmp or netstat: a line of names, then a line of values, both begun by `group`. */
static long long counter(const char *path, const char *group, const char *name) {
    static char names[8192], values[8192];
    long long found = -1;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        give_up(path);
    while (found < 0 && fgets(names, sizeof names, file) && fgets(values, sizeof values, file)) {
        char *rest_names, *rest_values, *key, *value;
        if (strncmp(names, group, strlen(group)) != 0)
            continue;
        key = strtok_r(names, " \n", &rest_names);
        value = strtok_r(values, " \n", &rest_values);
        for (; key && value; key = strtok_r(NULL, " \n", &rest_names), value = strtok_r(NULL, " \n", &rest_values))
            if (strcmp(key, name) == 0)
                found = atoll(value);
    }
    fclose(file);
    if (found < 0) {
        fprintf(stderr, "%s has no %s %s\n", path, group, name);
        exit(1);
    }
    return found;
}

struct repeats repeats_now(void) {
    return (struct repeats){.segments = counter("/proc/self/net/snmp", "Tcp:", "RetransSegs"),
                            .openings = counter("/proc/self/net/netstat", "TcpExt:", "TCPSynRetrans")};
}

void repeats_print(struct repeats before) {
    struct repeats now = repeats_now();
    printf("segments_repeated %lld\nopenings_repeated %lld\n", now.segments - before.segments,
           now.openings - before.openings);
}
