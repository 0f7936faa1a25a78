/* What runs in the tests' containers: says what it sees, waits to be told to end; or copies, or checks. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void leave(int signal) {
    (void)signal;
    printf("bye\n");
    fflush(stdout);
    _exit(3);
}

static int serve(void) {
    char name[256] = "";
    struct stat seen;
    signal(SIGTERM, leave);
    gethostname(name, sizeof name - 1);
    printf("host %s\n", name);
    printf("greeting %s\n", getenv("GREETING") ? getenv("GREETING") : "none");
    printf("pid %d user %d\n", getpid(), getuid());
    printf("volume %s\n", stat("/data/seed", &seen) == 0 ? "filled" : "empty");
    printf("hosts %s\n", stat("/etc/hosts", &seen) == 0 && seen.st_size > 0 ? "there" : "missing");
    fflush(stdout);
    fprintf(stderr, "ready\n");
    close(open("/scratch/ready", O_CREAT | O_WRONLY, 0644));
    for (;;)
        pause();
}

static int copy(void) {
    char bytes[4096];
    ssize_t length;
    while ((length = read(0, bytes, sizeof bytes)) > 0)
        if (write(1, bytes, length) != length)
            return 1;
    fprintf(stderr, "copied\n");
    return 7;
}

static int eat(void) {
    for (;;) {
        char *bytes = malloc(1 << 20);
        if (bytes)
            memset(bytes, 1, 1 << 20);
    }
}

int main(int count, char **words) {
    if (count < 2)
        return 2;
    if (!strcmp(words[1], "serve"))
        return serve();
    if (!strcmp(words[1], "copy"))
        return copy();
    if (!strcmp(words[1], "eat"))
        return eat();
    if (!strcmp(words[1], "check"))
        return access("/scratch/ready", F_OK) ? 1 : 0;
    return 2;
}
