/* Which part of the program is wanted. */
#include "load.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void leave(int signal) {
    (void)signal;
    _exit(0);
}

/* A container that others run clients in. */
_Noreturn static int wait_for_end(int count, char **words) {
    (void)count, (void)words;
    signal(SIGTERM, leave);
    for (;;)
        pause();
}

int main(int count, char **words) {
    static const struct {
        const char *name, *usage;
        int words_min;
        int (*run)(int, char **);
    } parts[] = {
        {"serve", "PORT", 1, serve},
        {"wait", "", 0, wait_for_end},
        {"stream", "STREAMS SECONDS ADDRESS:PORT...", 3, stream},
        {"connections", "AT-ONCE A-SECOND SECONDS COUNT ADDRESS:PORT...", 5, connections},
        {"requests", "A-SECOND SECONDS TIMEOUT-MS NAME ADDRESS:PORT...", 5, requests},
        {"resolve", "AT-ONCE A-SECOND SECONDS SERVER NAME", 5, resolve},
    };
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (count > 1 && strcmp(words[1], parts[i].name) == 0 && count - 2 >= parts[i].words_min)
            return parts[i].run(count - 2, words + 2);
    fprintf(stderr, "usage:\n");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        fprintf(stderr, "  %s %s %s\n", words[0], parts[i].name, parts[i].usage);
    return 2;
}
