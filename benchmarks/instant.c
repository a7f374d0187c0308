/* The fastest agent there can be: it prints a valid ndjson answer and exits. The answers differ,
   as a chat system may take a repeated text for a mistake. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
    return dprintf(1, "{\"type\":\"text\",\"text\":\"done by %d\"}\n{\"type\":\"result\"}\n", getpid()) < 0;
}
