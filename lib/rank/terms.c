#include "rank/terms.h"

#include <stdbool.h>
#include <stdlib.h>

#include <utf8proc.h>

#include "base/memory.h"

static const char *const stop_words[] = {
    "a",    "about", "an",    "and",   "are",  "as",    "at",   "be",   "been", "but",
    "by",   "can",   "did",   "do",    "does", "for",   "from", "had",  "has",  "have",
    "how",  "if",    "in",    "into",  "is",   "it",    "its",  "may",  "no",   "not",
    "of",   "on",    "or",    "s",     "such", "t",     "than", "that", "the",  "their",
    "then", "there", "these", "they",  "this", "those", "to",   "was",  "we",   "were",
    "what", "when",  "where", "which", "who",  "why",   "will", "with", "you",  "your",
};

static int compare_word(const void *key, const void *element)
{
    const struct text *word = key;
    const struct text stop = text_of(*(const char *const *)element);
    const size_t shorter = word->len < stop.len ? word->len : stop.len;
    const int order = memcmp(word->ptr, stop.ptr, shorter);

    return order != 0 ? order : (word->len > stop.len) - (word->len < stop.len);
}

static bool is_stop_word(struct text word)
{
    return bsearch(&word, stop_words, sizeof(stop_words) / sizeof(stop_words[0]),
                   sizeof(stop_words[0]), compare_word) != NULL;
}

static bool ends_with(struct text word, const char *suffix)
{
    const size_t len = strlen(suffix);

    return word.len >= len && memcmp(word.ptr + word.len - len, suffix, len) == 0;
}

/* The S-stemmer, in place; the word's new length. */
static size_t stem(char *bytes, size_t len)
{
    const struct text word = {bytes, len};

    if (ends_with(word, "ies") && !ends_with(word, "eies") && !ends_with(word, "aies")) {
        bytes[len - 3] = 'y';
        return len - 2;
    }
    if (ends_with(word, "es") && !ends_with(word, "aes") && !ends_with(word, "ees") &&
        !ends_with(word, "oes"))
        return len - 1;
    if (ends_with(word, "s") && !ends_with(word, "us") && !ends_with(word, "ss"))
        return len - 1;
    return len;
}

/* The bytes behind the last term are a word: keep it as a term, or drop it. */
static void end_word(struct terms *terms, size_t n_points)
{
    const size_t start = terms->n > 0 ? terms->ends[terms->n - 1] : 0;
    const size_t len = terms->bytes.len - start;
    char *word = terms->bytes.data + start;

    if (is_stop_word((struct text){word, len})) {
        terms->bytes.len = start;
        return;
    }
    terms->bytes.len = start + (n_points > 3 ? stem(word, len) : len);
    if (terms->n == terms->cap) {
        terms->cap = terms->cap > 0 ? 2 * terms->cap : 64;
        terms->ends = memory_resize(terms->ends, terms->cap, sizeof(*terms->ends));
    }
    terms->ends[terms->n++] = terms->bytes.len;
}

static bool is_word_part(utf8proc_int32_t point)
{
    const utf8proc_category_t category = utf8proc_category(point);

    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO;
}

void terms_split(struct terms *terms, struct text text)
{
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text.ptr;
    const utf8proc_uint8_t *const end = at + text.len;
    size_t n_points = 0; /* of the word that is open */

    buf_reset(&terms->bytes);
    terms->n = 0;
    while (at < end) {
        utf8proc_int32_t point;
        const utf8proc_ssize_t step = utf8proc_iterate(at, end - at, &point);

        if (step > 0 && is_word_part(point)) {
            char *room = buf_reserve(&terms->bytes, 4);

            terms->bytes.len +=
                (size_t)utf8proc_encode_char(utf8proc_tolower(point), (utf8proc_uint8_t *)room);
            n_points++;
        } else if (n_points > 0) {
            end_word(terms, n_points);
            n_points = 0;
        }
        at += step > 0 ? step : 1; /* bytes that are not UTF-8 are no part of a word */
    }
    if (n_points > 0)
        end_word(terms, n_points);
}

struct text terms_at(const struct terms *terms, size_t i)
{
    const size_t start = i > 0 ? terms->ends[i - 1] : 0;

    return (struct text){terms->bytes.data + start, terms->ends[i] - start};
}

void terms_release(struct terms *terms)
{
    buf_release(&terms->bytes);
    free(terms->ends);
    *terms = (struct terms){0};
}
