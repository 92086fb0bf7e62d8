/* SHA-256 (FIPS 180-4), by which published files are known. Not for secrets: no care is taken of
 * timing. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BLOCK = 64, SHA256_HEX = 64 };

struct sha256 {
    uint32_t state[8];
    uint64_t n_bytes; /* so far */
    uint8_t block[SHA256_BLOCK];
};

void sha256_begin(struct sha256 *sha);
void sha256_more(struct sha256 *sha, const void *bytes, size_t n);
/* The digest as small hexadecimal digits and a zero. */
void sha256_end(struct sha256 *sha, char hex[SHA256_HEX + 1]);

/* Of a whole file, and its size. False: errno. */
bool sha256_file(const char *path, uint64_t *size, char hex[SHA256_HEX + 1]);

#endif
