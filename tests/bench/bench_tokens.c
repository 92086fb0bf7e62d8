/* How fast a tokenizer is on one thread, as a JSON line: megabytes of text a second.
 *
 *   bench_tokens MODEL TEXTS
 *
 * MODEL is what medrat-tokenize's -m takes as a path; TEXTS has a text a line, each encoded by a
 * call of its own, special tokens included. The best of ROUNDS. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mapped_file.h"
#include "tests/unit/encode_text.h"
#include "text/tokenizer.h"

enum { ROUNDS = 5 };

static double seconds_of_this_thread(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Encodes each line; returns the bytes that were text. */
static size_t encode_lines(const struct tokenizer *tokenizer, struct text all, struct tokens *out)
{
    size_t n_bytes = 0;

    for (size_t at = 0; at < all.len;) {
        const char *end = memchr(all.ptr + at, '\n', all.len - at);
        const size_t len = end ? (size_t)(end - all.ptr) - at : all.len - at;

        tokens_reset(out);
        encode_text(tokenizer, (struct text){all.ptr + at, len}, TOKENIZER_SPECIAL, out);
        n_bytes += len;
        at += len + 1;
    }
    return n_bytes;
}

static int fail(const struct status *status)
{
    fprintf(stderr, "bench_tokens: %s\n", status->message);
    return status_exit_code(status->code);
}

int main(int argc, char **argv)
{
    struct tokenizer *tokenizer;
    struct tokens out = {0};
    struct mapped_file texts;
    struct status status;
    double best = 1e9;
    size_t n_bytes = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: bench_tokens MODEL TEXTS\n");
        return 64;
    }
    tokenizer = tokenizer_open(argv[1], &status);
    if (!tokenizer || !mapped_file_open(&texts, argv[2], &status))
        return fail(&status);
    for (int i = 0; i < ROUNDS; i++) {
        const double start = seconds_of_this_thread();
        double seconds;

        n_bytes =
            encode_lines(tokenizer, (struct text){(const char *)texts.data, texts.size}, &out);
        seconds = seconds_of_this_thread() - start;
        best = seconds < best ? seconds : best;
    }
    printf("{\"bench\":\"tokens\",\"tokenizer\":\"%s\",\"mb_per_s\":%.2f}\n",
           tokenizer_name(tokenizer), (double)n_bytes / best * 1e-6);
    tokens_release(&out);
    mapped_file_close(&texts);
    tokenizer_close(tokenizer);
    return 0;
}
