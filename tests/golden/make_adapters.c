/* make_adapters DIR: write the adapters of tests/golden/tiny.h into DIR, which must exist. */
#include <stdio.h>

#include "tests/golden/tiny.h"

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_adapters DIR\n");
        return 64;
    }
    tiny_write_adapters(argv[1]);
    tiny_write_smollm2_adapters(argv[1]);
    return 0;
}
