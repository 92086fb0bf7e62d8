#include "text/normalizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "text/bert_unicode.h"
#include "text/unicode.h"

struct normalizer_step {
    enum tokenizer_json_type type;
    struct buf pattern, content; /* STEP_REPLACE, STEP_PREPEND */
    struct split_regex *regex;   /* ours; STEP_REPLACE by one, else NULL */
    struct bert_normalizer bert;
    bool strip_left, strip_right;
};

bool normalizer_add(struct normalizer *normalizer, const struct tokenizer_json_step *from,
                    struct status *status)
{
    struct normalizer_step *step;

    normalizer->steps =
        memory_resize(normalizer->steps, normalizer->n + 1, sizeof(*normalizer->steps));
    step = &normalizer->steps[normalizer->n++];
    *step = (struct normalizer_step){
        .type = from->type,
        .bert = {from->clean_text, from->handle_chinese_chars, from->strip_accents,
                 from->lowercase},
        .strip_left = from->strip_left,
        .strip_right = from->strip_right,
    };
    buf_append_text(&step->content, from->content);
    if (from->type != STEP_REPLACE)
        return true;
    buf_append_text(&step->pattern, from->pattern);
    if (from->is_regex)
        step->regex = split_regex_new(from->pattern, status);
    return step->regex || !from->is_regex;
}

void normalizer_release(struct normalizer *normalizer)
{
    for (size_t i = 0; i < normalizer->n; i++) {
        buf_release(&normalizer->steps[i].pattern);
        buf_release(&normalizer->steps[i].content);
        split_regex_free(normalizer->steps[i].regex);
    }
    free(normalizer->steps);
    *normalizer = (struct normalizer){0};
}

void normalizer_scratch_release(struct normalizer_scratch *scratch)
{
    buf_release(&scratch->text[0]);
    buf_release(&scratch->text[1]);
    bert_normalizer_scratch_release(&scratch->bert);
    normal_form_scratch_release(&scratch->form);
    split_regex_scratch_release(&scratch->regex);
}

/* A malformed byte stays what it is. */
static void put(struct buf *out, struct text text, size_t at, size_t n, int32_t c, bool changed)
{
    char *end;

    if (!changed) {
        buf_append(out, text.ptr + at, n);
        return;
    }
    end = buf_reserve(out, UNICODE_MAX_BYTES + 1);
    out->len += unicode_encode(c, end);
    out->data[out->len] = '\0';
}

static void lowercase(struct text text, struct buf *out)
{
    for (size_t at = 0, n; at < text.len; at += n) {
        int32_t c, lowered[UNICODE_MAX_LOWER];
        size_t n_lowered;

        n = unicode_decode(text, at, &c);
        n_lowered = unicode_lower(c, lowered);
        for (size_t i = 0; i < n_lowered; i++)
            put(out, text, at, n, lowered[i], n_lowered > 1 || lowered[0] != c);
    }
}

static void strip_accents(struct text text, struct buf *out)
{
    for (size_t at = 0, n; at < text.len; at += n) {
        int32_t c;

        n = unicode_decode(text, at, &c);
        if (!bert_unicode_is_accent(c))
            buf_append(out, text.ptr + at, n);
    }
}

static struct text strip(const struct normalizer_step *step, struct text text)
{
    size_t begin = text.len, end = 0; /* of what is not white space */

    for (size_t at = 0, n; at < text.len; at += n) {
        int32_t c;

        n = unicode_decode(text, at, &c);
        if (unicode_is_space(c))
            continue;
        begin = at < begin ? at : begin;
        end = at + n;
    }
    if (!step->strip_left)
        begin = 0;
    if (!step->strip_right || end == 0)
        end = step->strip_right ? begin : text.len;
    return (struct text){text.ptr + begin, end > begin ? end - begin : 0};
}

static void replace_literal(const struct normalizer_step *step, struct text text, struct buf *out)
{
    const struct text pattern = buf_text(&step->pattern);
    size_t done = 0, at = 0;

    while (at + pattern.len <= text.len) {
        const char *first = memchr(text.ptr + at, pattern.ptr[0], text.len - at);

        if (!first)
            break;
        at = (size_t)(first - text.ptr);
        if (!text_starts_with((struct text){first, text.len - at}, pattern)) {
            at++;
            continue;
        }
        buf_append(out, text.ptr + done, at - done);
        buf_append_text(out, buf_text(&step->content));
        at += pattern.len;
        done = at;
    }
    buf_append(out, text.ptr + done, text.len - done);
}

static bool replace_regex(const struct normalizer_step *step, struct split_regex_scratch *scratch,
                          struct text text, struct buf *out, struct status *status)
{
    struct split_regex_walk walk;
    size_t done = 0, begin, end;
    bool found;

    if (!unicode_is_valid(text))
        return status_fail_record(status, "utf8", NULL, "the text is not UTF-8");
    split_regex_allow(scratch, text.len);
    split_regex_begin(&walk, step->regex, scratch, text);
    for (;;) {
        if (!split_regex_next(&walk, &found, &begin, &end, status))
            return false;
        if (!found)
            break;
        buf_append(out, text.ptr + done, begin - done);
        buf_append_text(out, buf_text(&step->content));
        done = end;
    }
    buf_append(out, text.ptr + done, text.len - done);
    return true;
}

static bool run_step(const struct normalizer_step *step, struct normalizer_scratch *s,
                     struct text text, struct buf *out, struct status *status)
{
    switch (step->type) {
    case STEP_NFC:
        normal_form_append(NORMAL_FORM_NFC, &s->form, text, out);
        break;
    case STEP_NFD:
        normal_form_append(NORMAL_FORM_NFD, &s->form, text, out);
        break;
    case STEP_NFKC:
        normal_form_append(NORMAL_FORM_NFKC, &s->form, text, out);
        break;
    case STEP_NFKD:
        normal_form_append(NORMAL_FORM_NFKD, &s->form, text, out);
        break;
    case STEP_LOWERCASE:
        lowercase(text, out);
        break;
    case STEP_STRIP_ACCENTS:
        strip_accents(text, out);
        break;
    case STEP_STRIP:
        buf_append_text(out, strip(step, text));
        break;
    case STEP_PREPEND:
        if (text.len > 0)
            buf_append_text(out, buf_text(&step->content));
        buf_append_text(out, text);
        break;
    case STEP_BERT_NORMALIZER:
        bert_normalizer_append(&step->bert, &s->bert, text, out);
        break;
    case STEP_REPLACE:
        if (step->regex)
            return replace_regex(step, &s->regex, text, out, status);
        replace_literal(step, text, out);
        break;
    default: /* normalizer_add takes normalizers alone */
        buf_append_text(out, text);
        break;
    }
    return true;
}

bool normalizer_run(const struct normalizer *normalizer, struct normalizer_scratch *scratch,
                    struct text *text, struct status *status)
{
    for (size_t i = 0; i < normalizer->n; i++) {
        struct buf *out = &scratch->text[i % 2];

        buf_reset(out);
        if (!run_step(&normalizer->steps[i], scratch, *text, out, status))
            return false;
        *text = buf_text(out);
    }
    return true;
}
