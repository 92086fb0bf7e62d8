#include "text/token_record.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/json_write.h"
#include "text/detokenizer.h"

static bool check_chunk(const struct token_record *work, struct status *status)
{
    const size_t least =
        CHUNK_MIN_TOKENS + (work->no_special ? 0 : tokenizer_n_special(work->tokenizer, false));

    return work->chunk >= least ||
           status_fail(status, STATUS_USAGE,
                       "option '--chunk': must be at least %zu with this model", least);
}

bool token_record_open(struct token_record *work, struct status *status)
{
    const bool pairs = tokenizer_has_pairs(work->tokenizer);
    const size_t n_special = work->no_special ? 0 : tokenizer_n_special(work->tokenizer, pairs);

    if (work->max_length > 0 && work->max_length < n_special)
        return status_fail(status, STATUS_USAGE,
                           "option '--max-length': %zu has no room for %zu special tokens",
                           work->max_length, n_special);
    if (work->chunk > 0 && !check_chunk(work, status))
        return false;
    work->has_template = chat_template_find(work->template_name, work->tokenizer, &work->template,
                                            &work->no_template);
    if (work->template_name && !work->has_template) {
        *status = work->no_template;
        return false;
    }
    return true;
}

void token_record_close(struct token_record *work)
{
    tokens_release(&work->tokens);
    tokens_release(&work->types);
    buf_release(&work->text);
    chunks_release(&work->chunks);
}

static bool fail_too_long(const struct token_record *work, const struct record *record,
                          const char *member, struct status *status)
{
    return record_fail(record, status, "too_long", member, "%zu tokens, at most %zu are wanted",
                       work->tokens.n, work->max_length);
}

/* The answer's beginning follows unless the last turn is an answer. */
static bool encode_messages(struct token_record *work, const struct record *record, bool *found,
                            struct status *status)
{
    struct message *messages;
    size_t n;
    bool ok;

    if (!prompt_messages(record, &messages, &n, found, status))
        return false;
    if (!*found)
        return true;
    if (!work->has_template)
        ok = record_fail(record, status, "no_template", "messages", "%.400s",
                         work->no_template.message);
    else
        ok = chat_template_render(work->template, work->tokenizer, messages, n,
                                  n == 0 || !text_is(messages[n - 1].role, "assistant"),
                                  &work->tokens, status);
    free(messages);
    if (ok && work->max_length > 0 && work->tokens.n > work->max_length)
        return fail_too_long(work, record, "messages", status); /* turns are not cut */
    return ok;
}

static bool encode_text(struct token_record *work, const struct record *record, bool *pair,
                        size_t *truncated, struct status *status)
{
    const unsigned flags = work->no_special ? TOKENIZER_PLAIN : TOKENIZER_SPECIAL;
    const enum tokenizer_keep keep =
        work->truncate == TRUNCATE_HEAD ? TOKENIZER_KEEP_HEAD : TOKENIZER_KEEP_TAIL;
    struct text text, second;
    size_t lengths[2];
    bool found, ok;

    if (!record_string(record, "text", &text, &found, status) ||
        !record_string(record, "text_pair", &second, pair, status))
        return false;
    if (!found)
        return record_fail_missing(record, "text", status);
    if (*pair && !tokenizer_has_pairs(work->tokenizer))
        return record_fail(record, status, "value", "text_pair",
                           "the model's tokenizer does not take pairs");
    if (*pair)
        ok = tokenizer_encode_pair(work->tokenizer, text, second, flags, &work->tokens,
                                   &work->types, lengths, status);
    else
        ok = tokenizer_encode(work->tokenizer, text, flags, &work->tokens, status);
    if (!ok)
        return false;
    if (work->max_length == 0 || work->tokens.n <= work->max_length)
        return true;
    if (work->truncate == TRUNCATE_ERROR)
        return fail_too_long(work, record, "text", status);
    *truncated = *pair
                     ? tokenizer_cut_pair(work->tokenizer, flags, work->max_length, keep, lengths,
                                          &work->tokens, &work->types)
                     : tokenizer_cut(work->tokenizer, flags, work->max_length, keep, &work->tokens);
    return true;
}

static void write_pieces(const struct token_record *work, const int32_t *ids, size_t n,
                         struct buf *members)
{
    json_write_name(members, "pieces");
    buf_append_char(members, '[');
    for (size_t i = 0; i < n; i++) {
        json_write_comma(members);
        json_write_string(members, tokenizer_piece(work->tokenizer, ids[i]));
    }
    buf_append_char(members, ']');
}

bool token_record_encode(struct token_record *work, const struct record *record,
                         struct buf *members, struct status *status)
{
    bool chat, pair = false;
    size_t truncated = 0;

    tokens_reset(&work->tokens);
    tokens_reset(&work->types);
    if (!encode_messages(work, record, &chat, status) ||
        (!chat && !encode_text(work, record, &pair, &truncated, status)))
        return false;
    json_write_name(members, "tokens");
    json_write_ints(members, work->tokens.ids, work->tokens.n);
    json_write_name(members, "n_tokens");
    json_write_uint(members, work->tokens.n);
    if (pair) {
        json_write_name(members, "types");
        json_write_ints(members, work->types.ids, work->types.n);
    }
    if (work->pieces)
        write_pieces(work, work->tokens.ids, work->tokens.n, members);
    if (work->max_length > 0) {
        json_write_name(members, "truncated");
        json_write_uint(members, truncated);
    }
    work->n_tokens += work->tokens.n;
    work->n_truncated += truncated > 0;
    work->n_truncated_tokens += truncated;
    return true;
}

static bool check_ids(const struct token_record *work, const struct record *record,
                      const int32_t *ids, size_t n, struct status *status)
{
    const int n_vocab = tokenizer_vocab_size(work->tokenizer);

    for (size_t i = 0; i < n; i++) {
        char member[40];

        if (ids[i] >= 0 && ids[i] < n_vocab)
            continue;
        snprintf(member, sizeof(member), "tokens[%zu]", i);
        return record_fail(record, status, "range", member, "%d, but the model has %d tokens",
                           (int)ids[i], n_vocab);
    }
    return true;
}

bool token_record_decode(struct token_record *work, const struct record *record,
                         struct buf *members, struct status *status)
{
    struct detokenizer detokenizer;
    int32_t *ids;
    size_t n;
    bool found, ok;

    if (!record_tokens(record, "tokens", &ids, &n, &found, status))
        return false;
    if (!found)
        return record_fail_missing(record, "tokens", status);
    ok = check_ids(work, record, ids, n, status);
    if (ok) {
        buf_reset(&work->text);
        detokenizer_init(&detokenizer, work->tokenizer, work->pieces);
        for (size_t i = 0; i < n; i++)
            detokenizer_push(&detokenizer, ids[i], &work->text);
        detokenizer_flush(&detokenizer, &work->text);
        json_write_name(members, "text");
        json_write_string(members, buf_text(&work->text));
        if (work->pieces)
            write_pieces(work, ids, n, members);
        work->n_tokens += n;
    }
    free(ids);
    return ok;
}

/* The record's id, as far as it is one: a string or a number. */
static struct text document_id(const struct record *record)
{
    const struct text id = record->id;

    return id.len > 0 && (*id.ptr == '"' || *id.ptr == '-' || (*id.ptr >= '0' && *id.ptr <= '9'))
               ? id
               : (struct text){"", 0};
}

/* {"id":"DOC.POS","text":...,"doc":DOC,"pos":POS,"span":[0,12],"n_tokens":3} */
static void write_passage(const struct chunk *chunk, size_t pos, struct text doc, struct text text,
                          struct buf *out)
{
    struct text name = doc; /* without its quotes */

    if (doc.len > 1 && *doc.ptr == '"')
        name = (struct text){doc.ptr + 1, doc.len - 2};
    json_write_comma(out);
    buf_append_string(out, "{\"id\":\"");
    buf_append_text(out, name);
    buf_printf(out, doc.len > 0 ? ".%zu\"," : "%zu\",", pos);
    json_write_name(out, "text");
    json_write_string(out, (struct text){text.ptr + chunk->begin, chunk->end - chunk->begin});
    if (doc.len > 0) {
        json_write_name(out, "doc");
        buf_append_text(out, doc);
    }
    json_write_name(out, "pos");
    json_write_uint(out, pos);
    buf_printf(out, ",\"span\":[%zu,%zu]", chunk->begin, chunk->end);
    json_write_name(out, "n_tokens");
    json_write_uint(out, chunk->n_tokens);
    buf_append_char(out, '}');
}

bool token_record_chunk(struct token_record *work, const struct record *record, struct buf *members,
                        struct status *status)
{
    const struct chunk_options options = {
        .tokenizer = work->tokenizer,
        .flags = work->no_special ? TOKENIZER_PLAIN : TOKENIZER_SPECIAL,
        .max_tokens = work->chunk,
        .overlap = work->overlap,
    };
    struct text text;
    bool found;

    if (!record_string(record, "text", &text, &found, status))
        return false;
    if (!found)
        return record_fail_missing(record, "text", status);
    if (!chunk_text(&options, text, &work->chunks, status))
        return false;
    json_write_name(members, "passages");
    buf_append_char(members, '[');
    for (size_t i = 0; i < work->chunks.n; i++) {
        write_passage(&work->chunks.items[i], i, document_id(record), text, members);
        work->n_tokens += work->chunks.items[i].n_tokens;
    }
    buf_append_char(members, ']');
    work->n_passages += work->chunks.n;
    return true;
}

void token_record_write_stats(const struct token_record *work, struct buf *members)
{
    if (work->chunk > 0) {
        json_write_name(members, "passages");
        json_write_uint(members, work->n_passages);
    }
    json_write_name(members, "tokenizer");
    json_write_string(members, text_of(tokenizer_source(work->tokenizer)));
    json_write_name(members, "tokens");
    json_write_uint(members, work->n_tokens);
    json_write_name(members, "truncated_records");
    json_write_uint(members, work->n_truncated);
    json_write_name(members, "truncated_tokens");
    json_write_uint(members, work->n_truncated_tokens);
}
