#include "base/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

enum { ROUNDS = 64, LENGTH_AT = SHA256_BLOCK - 8, READ_SIZE = 1 << 20 };

/* The first 32 bits behind the point of the cube roots of the first 64 primes. */
static const uint32_t constants[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

static uint32_t read_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The names are those of the standard. */
static void add_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[ROUNDS];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

    for (int t = 0; t < 16; t++)
        w[t] = read_be32(block + 4 * t);
    for (int t = 16; t < ROUNDS; t++) {
        const uint32_t x = w[t - 15], y = w[t - 2];

        w[t] = (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10) + w[t - 7] +
               (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + w[t - 16];
    }
    for (int t = 0; t < ROUNDS; t++) {
        const uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                            ((e & f) ^ (~e & g)) + constants[t] + w[t];
        const uint32_t t2 =
            (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));

        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void sha256_begin(struct sha256 *sha)
{
    /* the same of the square roots of the first 8 primes */
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

    *sha = (struct sha256){0};
    memcpy(sha->state, start, sizeof(start));
}

void sha256_more(struct sha256 *sha, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    size_t held = (size_t)(sha->n_bytes % SHA256_BLOCK);

    sha->n_bytes += n;
    while (n > 0) {
        const size_t room = SHA256_BLOCK - held, take = n < room ? n : room;

        if (take == SHA256_BLOCK) {
            add_block(sha->state, p);
        } else {
            memcpy(sha->block + held, p, take);
            held = (held + take) % SHA256_BLOCK;
            if (held == 0)
                add_block(sha->state, sha->block);
        }
        p += take;
        n -= take;
    }
}

void sha256_end(struct sha256 *sha, char hex[SHA256_HEX + 1])
{
    static const uint8_t padding[SHA256_BLOCK] = {0x80};
    const uint64_t n_bits = sha->n_bytes * 8;
    const size_t held = (size_t)(sha->n_bytes % SHA256_BLOCK);
    uint8_t length[8];

    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(n_bits >> (56 - 8 * i));
    sha256_more(sha, padding, (held < LENGTH_AT ? LENGTH_AT : LENGTH_AT + SHA256_BLOCK) - held);
    sha256_more(sha, length, sizeof(length));
    for (int i = 0; i < SHA256_HEX; i++)
        hex[i] = "0123456789abcdef"[sha->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    hex[SHA256_HEX] = '\0';
}

bool sha256_file(const char *path, uint64_t *size, char hex[SHA256_HEX + 1])
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = memory_zeroed(1, READ_SIZE);
    struct sha256 sha;
    ssize_t n = -1;
    int why;

    sha256_begin(&sha);
    while (fd >= 0 && (n = read(fd, bytes, READ_SIZE)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        sha256_more(&sha, bytes, (size_t)n);
    }
    why = errno;
    if (fd >= 0)
        close(fd);
    free(bytes);
    *size = sha.n_bytes;
    sha256_end(&sha, hex);
    errno = why;
    return n == 0;
}
