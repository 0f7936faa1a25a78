/* Waits to be told to end. */
#include <signal.h>
#include <unistd.h>

static void leave(int signal) {
    (void)signal;
    _exit(0);
}

int main(void) {
    signal(SIGTERM, leave);
    for (;;)
        pause();
}
