/* A tiny HTTP server: answers every request with the container's host name, its task slot and the image's version. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void leave(int signal) {
    (void)signal;
    _exit(0);
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    char host[65] = "", body[256], answer[512], request[2048];
    const char *slot = getenv("SLOT"), *version = getenv("VERSION");
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    signal(SIGTERM, leave);
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    gethostname(host, sizeof host - 1);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 512)) {
        perror("port 80");
        return 1;
    }
    snprintf(body, sizeof body, "%s %s %s\n", host, slot ? slot : "-", version ? version : "-");
    snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", strlen(body), body);
    for (;;) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        int client = accept(listener, (struct sockaddr *)&peer, &size);
        if (client < 0)
            continue;
        if (read(client, request, sizeof request) > 0 && write(client, answer, strlen(answer)) > 0)
            printf("request from %s\n", inet_ntoa(peer.sin_addr));
        shutdown(client, SHUT_WR);
        close(client);
    }
}
