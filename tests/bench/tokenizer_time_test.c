/* 1 MiB of any one character takes at most twice as long as normal text, and no short text again
 * and again much longer. */
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
    ROUNDS = 3,       /* the best counts, */
    MORE_ROUNDS = 12, /* and of this many if that is too slow: the machine may be busy */
};

/* What a byte may cost of what normal text's does, and to be remarked on. One character again and
 * again; other short texts, which make more words and tokens than any prose. */
#define MAX_RATIO 2.0
#define MAX_RATIO_SHORT 4.0
#define REMARK 1.5

/* Real prose; one sentence again and again would be remembered. */
static const char normal[] = "examples/questions.jsonl";

static const char *const characters[] = {
    "a",      "A",      " ",      "\n",     "\t",         "7",      ".",      "#",    "'",
    "<",      "[",      "\u00e9", "\u4e2d", "\u0301",     "\u302e", "\u2460", "-",    "=",
    "\u0130", "\uac01", "\u00a0", "\u2581", "\U0001F600", "\u0378", "\u0416", "\x01", "\u1f84",
};
static const char *const short_texts[] = {
    "<|", "[SEP", "\u302e\u0316", "\u1b44\u302e",         "ab",           "a ", "'s",
    " 1", " a",   "the",          "internationalization", "\u00e9\u4e2d",
};

static struct tokenizer *tokenizer;

static double seconds_of_this_thread(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds a byte for one encoding of the unit again and again. */
static double encode_time(struct text unit)
{
    struct buf text = {0};
    struct tokens tokens = {0};
    double seconds;

    while (text.len < SIZE)
        buf_append_text(&text, unit);
    seconds = -seconds_of_this_thread();
    encode_text(tokenizer, buf_text(&text), TOKENIZER_SPECIAL, &tokens);
    seconds += seconds_of_this_thread();
    seconds /= (double)text.len;
    tokens_release(&tokens);
    buf_release(&text);
    return seconds;
}

/* The best of some rounds, normal text and this one by turns, over one another. */
static double ratio_to(struct text normal_text, struct text unit, double max)
{
    double base = 1e9, best = 1e9;

    for (int i = 0; i < ROUNDS || (i < MORE_ROUNDS && best > max * base); i++) {
        const double b = encode_time(normal_text), t = encode_time(unit);

        base = b < base ? b : base;
        best = t < best ? t : best;
    }
    return best / base;
}

/* The slowest of these texts. A line for people names what comes near the bound. */
static double worst_of(const char *name, struct text normal_text, const char *const *texts,
                       size_t n, double max)
{
    double worst = 0;

    for (size_t i = 0; i < n; i++) {
        const double ratio = ratio_to(normal_text, text_of(texts[i]), max);

        if (ratio > max)
            fail_msg("%s: '%s' again and again takes %.1f times as long as normal text", name,
                     texts[i], ratio);
        if (ratio > REMARK)
            printf("# %s: '%s' takes %.1f times as long as normal text\n", name, texts[i], ratio);
        worst = ratio > worst ? ratio : worst;
    }
    return worst;
}

static void check(const char *path, const char *name)
{
    struct mapped_file file;
    struct status status;
    struct text prose;
    double one, some;

    tokenizer = tokenizer_open(path, &status);
    if (!tokenizer)
        fail_msg("%s", status.message);
    assert_true(mapped_file_open(&file, normal, &status));
    prose = (struct text){(const char *)file.data, file.size};
    one = worst_of(name, prose, characters, sizeof(characters) / sizeof(characters[0]), MAX_RATIO);
    some = worst_of(name, prose, short_texts, sizeof(short_texts) / sizeof(short_texts[0]),
                    MAX_RATIO_SHORT);
    printf("# %s: the slowest character takes %.2f times as long, the slowest short text %.2f\n",
           name, one, some);
    mapped_file_close(&file);
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

/* Patterns of our own, and one that PCRE2 runs: many_splits. */
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
