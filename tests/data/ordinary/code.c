#include <stdio.h>
#include <sys/types.h>
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* user[0] is the system user; assistant[i] < limit */
static int count(const char *s, int user[static 4]) {
    int n = 0;
    for (const char *p = s; *p && n < 100; p++)
        if ((*p & 0x7f) <= 'z' || p[1] == '<') n += user[n & 3] >> 2;
    return n <<= 1;
}
