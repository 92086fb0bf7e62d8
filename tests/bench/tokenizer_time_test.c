/* No text takes much longer than another of its length: 1 MiB of one character, and the like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "base/mapped_file.h"
#include "tests/golden/golden.h"
#include "tests/unit/encode_text.h"
#include "text/tokenizer.h"

enum {
    SIZE = 1 << 20,
    /* The aim is twice. This is the bound that tells n log n from n * n on any machine: a square
     * would be some thousand times. */
    MAX_RATIO = 10,
};

/* Real prose; one sentence again and again would be remembered. */
static const char normal[] = "examples/questions.jsonl";

static const char *const repeated[] = {
    "a",
    "A",
    " ",
    "\n",
    "\t",
    "7",
    ".",
    "#",
    "'",
    "<",
    "<|",
    "[",
    "[SEP",
    "\u00e9",
    "\u4e2d",
    "\u0301",
    "\u302e",
    "\u302e\u0316",
    "\u1b44\u302e",
    "\u2460",
    "\U0001F600",
    "\u0130",
    "\uac01",
    "\u00a0",
    "ab",
    "a ",
    "'s",
    " 1",
    "internationalization",
    "the",
    "\x01",
    "\u0378",
    "\u2581",
    " a",
    "-",
    "=",
};

static struct tokenizer *tokenizer;

/* Seconds of processor time, the better of two runs. */
static double encode_time(struct text unit)
{
    struct buf text = {0};
    struct tokens tokens = {0};
    double best = 1e9;

    while (text.len < SIZE)
        buf_append_text(&text, unit);
    for (int i = 0; i < 2; i++) {
        struct timespec start, end;
        double seconds;

        tokens_reset(&tokens);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
        encode_text(tokenizer, buf_text(&text), TOKENIZER_SPECIAL, &tokens);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
        best = seconds < best ? seconds : best;
    }
    tokens_release(&tokens);
    buf_release(&text);
    return best;
}

/* A line for people: what is slower than twice is named. */
static void check(const char *path, const char *name)
{
    struct mapped_file file;
    struct status status;
    double base, worst = 0;

    tokenizer = tokenizer_open(path, &status);
    if (!tokenizer)
        fail_msg("%s", status.message);
    assert_true(mapped_file_open(&file, normal, &status));
    base = encode_time((struct text){(const char *)file.data, file.size});
    mapped_file_close(&file);
    for (size_t i = 0; i < sizeof(repeated) / sizeof(repeated[0]); i++) {
        const double ratio = encode_time(text_of(repeated[i])) / base;

        if (ratio > MAX_RATIO)
            fail_msg("%s: text %zu takes %.0f times as long as normal text", name, i, ratio);
        if (ratio > 2)
            printf("# %s: text %zu takes %.1f times as long as normal text\n", name, i, ratio);
        worst = ratio > worst ? ratio : worst;
    }
    printf("# %s: %.0f MB/s of normal text; the slowest takes %.1f times as long\n", name,
           SIZE / base * 1e-6, worst);
    tokenizer_close(tokenizer);
}

static void check_model(const char *model)
{
    struct buf path = {0};

    check(golden_model(model, &path), model);
    buf_release(&path);
}

static void byte_level_bpe_takes_time_in_proportion_to_the_text(void **state)
{
    (void)state;
    check_model("smollm2");
}

static void wordpiece_takes_time_in_proportion_to_the_text(void **state)
{
    (void)state;
    check_model("minilm");
}

/* Patterns of our own, and those that PCRE2 runs: gpt4o, many_splits. */
static void every_family_takes_time_in_proportion_to_the_text(void **state)
{
    static const char *const names[] = {"gpt2",       "gpt2_prefix", "llama3",     "qwen2",
                                        "roberta",    "smollm",      "flags",      "bert_cased",
                                        "bert_steps", "gpt4o",       "many_splits"};
    struct buf path = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        buf_reset(&path);
        buf_printf(&path, "tests/golden/tokenizers/%s.json", names[i]);
        check(path.data, names[i]);
    }
    buf_release(&path);
}

static void metaspace_bpe_takes_time_in_proportion_to_the_text(void **state)
{
    (void)state;
    check_model("mistral-v3-tokenizer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_level_bpe_takes_time_in_proportion_to_the_text),
        cmocka_unit_test(wordpiece_takes_time_in_proportion_to_the_text),
        cmocka_unit_test(every_family_takes_time_in_proportion_to_the_text),
        cmocka_unit_test(metaspace_bpe_takes_time_in_proportion_to_the_text),
    };
    struct buf path = {0};

    golden_model("smollm2", &path);
    buf_reset(&path);
    golden_model("minilm", &path);
    buf_reset(&path);
    golden_model("mistral-v3-tokenizer", &path);
    buf_release(&path);
    return cmocka_run_group_tests_name("tokenizer_time", tests, NULL, NULL);
}
