/* The server: swallows streams, answers a byte by a byte, and speaks enough HTTP to keep connections.
 *
 * At SIGTERM it does as good servers do: it listens no longer, answers what was begun, tells kept connections with
 * their next answer that it was the last, and ends when none is left, or after DRAIN_US. So whoever is refused or left
 * without an answer was sent to a task that was told to end. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,          /* as many as the kernel lets wait by default */
    CONNECTIONS_MAX = 65536, /* descriptors of the process, above what any client opens */
    EVENTS = 256,            /* taken from the kernel at once */
    BULK_BYTES = 256 * 1024, /* read at once from a stream */
    DRAIN_US = 3000000,      /* for kept connections that nobody uses any more */
};

struct connection {
    enum { NONE, LISTENER, BULK, BYTE, HTTP } kind;
    bool late; /* came when the end had been told */
    uint64_t bytes;
    size_t length;
    char request[1024];
};

static struct server {
    int events, signals, open;
    int listeners[PORTS];
    int64_t draining; /* since when; 0: not */
    char identity[192], byte;
    struct connection *connections;
} server;

static void watch(int descriptor, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    if (epoll_ctl(server.events, EPOLL_CTL_ADD, descriptor, &event))
        give_up("epoll_ctl");
}

static int listen_at(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, BACKLOG))
        give_up("listen");
    server.connections[listener].kind = LISTENER;
    watch(listener, EPOLLIN);
    return listener;
}

static void drop(int client) {
    server.connections[client].kind = NONE;
    server.open--;
    close(client);
}

static void take(int listener) {
    int client, kind = listener == server.listeners[PORT_BULK] ? BULK : listener == server.listeners[PORT_HTTP] ? HTTP : BYTE;
    while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = &server.connections[client];
        if (client >= CONNECTIONS_MAX) {
            close(client);
            continue;
        }
        connection->kind = kind;
        connection->late = server.draining != 0;
        connection->bytes = connection->length = 0;
        server.open++;
        watch(client, EPOLLIN);
    }
}

static void swallow(int client, struct connection *connection) {
    static char buffer[BULK_BYTES];
    ssize_t length = read(client, buffer, sizeof buffer);
    if (length > 0) {
        connection->bytes += (uint64_t)length;
        return;
    }
    if (length < 0 && errno == EAGAIN)
        return;
    if (length == 0) {
        char count[32];
        int size = snprintf(count, sizeof count, "%llu\n", (unsigned long long)connection->bytes);
        if (write(client, count, (size_t)size) != size)
            perror("a count was not sent");
    }
    drop(client);
}

static void answer_byte(int client) {
    char byte;
    ssize_t length = read(client, &byte, 1);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length == 1 && write(client, &server.byte, 1) != 1)
        perror("a byte was not sent");
    drop(client);
}

static void answer_http(int client, struct connection *connection) {
    ssize_t length = read(client, connection->request + connection->length, sizeof connection->request - 1 - connection->length);
    char answer[512], body[256];
    bool last;
    int size;
    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0) {
        drop(client);
        return;
    }
    connection->length += (size_t)length;
    connection->request[connection->length] = '\0';
    if (strstr(connection->request, "\r\n\r\n") == NULL) {
        if (connection->length == sizeof connection->request - 1)
            drop(client);
        return;
    }
    last = server.draining || strstr(connection->request, "Connection: close") != NULL;
    size = snprintf(body, sizeof body, "%s %s\n", server.identity, connection->late ? "late" : "timely");
    size = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s", size,
                    last ? "Connection: close\r\n" : "", body);
    connection->length = 0;
    if (write(client, answer, (size_t)size) != size || last)
        drop(client);
}

static void heed(int descriptor) {
    struct connection *connection = &server.connections[descriptor];
    switch (connection->kind) {
    case NONE: break;
    case LISTENER: take(descriptor); break;
    case BULK: swallow(descriptor, connection); break;
    case BYTE: answer_byte(descriptor); break;
    case HTTP: answer_http(descriptor, connection); break;
    }
}

static void drain(void) {
    server.draining = now_us();
    for (int i = 0; i < PORTS; i++) {
        /* Those that the kernel accepted already were not refused. */
        take(server.listeners[i]);
        server.connections[server.listeners[i]].kind = NONE;
        close(server.listeners[i]);
    }
}

/* Tasks of one host differ in every one of their addresses; servers on the host itself are told their number. */
static char own_number(void) {
    const char *given = getenv("NUMBER");
    struct ifaddrs *all, *one;
    uint32_t address = 0;
    if (given)
        return (char)number(given, 1, 255);
    if (getifaddrs(&all))
        give_up("addresses");
    for (one = all; one; one = one->ifa_next)
        if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET && !(one->ifa_flags & IFF_LOOPBACK))
            address = ntohl(((struct sockaddr_in *)one->ifa_addr)->sin_addr.s_addr);
    freeifaddrs(all);
    return (char)address;
}

static void identify(void) {
    const char *version = getenv("VERSION"), *name = getenv("NAME");
    char host[65] = "";
    gethostname(host, sizeof host - 1);
    server.byte = own_number();
    snprintf(server.identity, sizeof server.identity, "%s %s %s", name ? name : "-", version ? version : "-", host);
}

int serve(int count, char **words) {
    struct epoll_event events[EVENTS];
    uint16_t base = (uint16_t)number(words[0], 1, 65000);
    sigset_t end;
    (void)count;
    raise_descriptors();
    identify();
    server.connections = calloc(CONNECTIONS_MAX, sizeof *server.connections);
    server.events = epoll_create1(EPOLL_CLOEXEC);
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    server.signals = signalfd(-1, &end, SFD_NONBLOCK | SFD_CLOEXEC);
    if (server.connections == NULL || server.events < 0 || server.signals < 0)
        give_up("serve");
    watch(server.signals, EPOLLIN);
    for (int i = 0; i < PORTS; i++)
        server.listeners[i] = listen_at((uint16_t)(base + i));
    while (!server.draining || (server.open > 0 && now_us() - server.draining < DRAIN_US)) {
        int ready = epoll_wait(server.events, events, EVENTS, server.draining ? 50 : -1);
        for (int i = 0; i < ready; i++) {
            struct signalfd_siginfo told;
            if (events[i].data.fd != server.signals)
                heed(events[i].data.fd);
            else if (read(server.signals, &told, sizeof told) == sizeof told && !server.draining)
                drain();
        }
    }
    return 0;
}
