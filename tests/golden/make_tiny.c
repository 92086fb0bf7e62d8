/* make_tiny DIR: write the tiny models of tests/golden/tiny.h into DIR, which must exist. */
#include <stdio.h>

#include "tests/golden/tiny.h"

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_tiny DIR\n");
        return 64;
    }
    tiny_write_all(argv[1]);
    return 0;
}
