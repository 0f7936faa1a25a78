/* A load generator and the server that it loads, in one static program that is also an image.
 *
 * Every client prints lines of "name value" at its end and fails nothing by itself: shoal-bench reads and judges them.
 * Each works in one thread (streams: one each), so that two cores carry a client, a server and the kernel between them. */
#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TARGETS_MAX = 16,       /* addresses that one client speaks to: five hosts, or a service's tasks */
    ATTEMPTS_MAX = 2048,    /* connections of one client at once: far above what a closed loop uses */
    SAMPLES_MAX = 4000000,  /* latencies kept: a minute at what two cores can do */
};

/* Ports of the server, counted from the one that it is told. Bytes are answered at two: when connections to a task's own
 * address and translated ones had one port, each would meet the other's that wait for their end. */
enum { PORT_BULK, PORT_BYTE, PORT_BYTE_TOO, PORT_HTTP, PORTS };

/* Why something did not succeed. */
enum failure { REFUSED, RESET, CLOSED, TIMEOUT, UNREACHABLE, WRONG, FAILURES };
extern const char *const failure_names[FAILURES];

int serve(int count, char **words);
int stream(int count, char **words);
int connections(int count, char **words);
int requests(int count, char **words);
int resolve(int count, char **words);

/* sum.c */
int64_t now_us(void);
int64_t epoch_us(void);
/* Ends the program when a number is not one. */
long number(const char *word, long least, long most);
struct sockaddr_in target(const char *word);
enum failure failure_of(int error);
_Noreturn void give_up(const char *what);
/* Sees to it that `descriptor` can be had by as many connections as the hard limit allows. */
void raise_descriptors(void);

/* Latencies, for percentiles at the end. */
struct samples {
    uint32_t *us;
    size_t count;
};
void samples_make(struct samples *samples);
void samples_add(struct samples *samples, int64_t us);
void samples_print(struct samples *samples, const char *name);

/* What the kernel of this namespace had to say twice. */
struct repeats {
    long long segments, openings;
};
struct repeats repeats_now(void);
void repeats_print(struct repeats before);

#endif
