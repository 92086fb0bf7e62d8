#include "run/score_protocol.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "formats/json_file.h"
#include "formats/json_write.h"

enum kind { TEXT, NUMBER, FLAG };

/* The members in the order in which they are written and compared. */
static const struct member {
    const char *name;
    enum kind kind;
    size_t offset, size;
} members[] = {
#define MEMBER(name, kind)                                                                         \
    {                                                                                              \
#name, kind, offsetof(struct score_protocol, name),                                        \
            sizeof(((struct score_protocol *)0)->name)                                             \
    }
    MEMBER(model, TEXT),    MEMBER(adapters, TEXT),        MEMBER(tokenizer, TEXT),
    MEMBER(kernels, TEXT),  MEMBER(truncate, TEXT),        MEMBER(max_length, NUMBER),
    MEMBER(stride, NUMBER), MEMBER(completion_only, FLAG), MEMBER(compare, FLAG),
#undef MEMBER
};

enum { N_MEMBERS = sizeof(members) / sizeof(members[0]), MAX_LENGTH = 1 << 30 };

static const void *field_of(const struct score_protocol *protocol, const struct member *member)
{
    return (const char *)protocol + member->offset;
}

int score_protocol_legs(const struct score_protocol *protocol)
{
    return protocol->compare ? 2 : 1;
}

void score_protocol_set(char *field, size_t size, const char *value)
{
    snprintf(field, size, "%s", value);
}

static void write_value(const struct score_protocol *protocol, const struct member *member,
                        struct buf *out)
{
    const void *field = field_of(protocol, member);

    switch (member->kind) {
    case TEXT:
        json_write_string(out, text_of(field));
        break;
    case NUMBER:
        json_write_uint(out, *(const size_t *)field);
        break;
    case FLAG:
        json_write_bool(out, *(const bool *)field);
        break;
    }
}

void score_protocol_write(const struct score_protocol *protocol, struct buf *out)
{
    buf_append_char(out, '{');
    for (int i = 0; i < N_MEMBERS; i++) {
        json_write_name(out, members[i].name);
        write_value(protocol, &members[i], out);
    }
    buf_append_char(out, '}');
}

static bool read_member(struct score_protocol *protocol, const struct member *member,
                        const json_t *object, struct status *status)
{
    void *field = (char *)protocol + member->offset;
    const char *text;
    int64_t number;

    switch (member->kind) {
    case TEXT:
        if (!json_file_string(object, member->name, &text, NULL, status))
            return false;
        if (strlen(text) >= member->size)
            return status_fail(status, STATUS_CONFIG, "%s: longer than %zu bytes", member->name,
                               member->size - 1);
        score_protocol_set(field, member->size, text);
        return true;
    case NUMBER:
        if (!json_file_int(object, member->name, 0, MAX_LENGTH, &number, NULL, status))
            return false;
        *(size_t *)field = (size_t)number;
        return true;
    case FLAG:
        return json_file_bool(object, member->name, field, NULL, status);
    }
    return false;
}

bool score_protocol_read(struct score_protocol *protocol, const json_t *object,
                         struct status *status)
{
    *protocol = (struct score_protocol){0};
    for (int i = 0; i < N_MEMBERS; i++) {
        if (!read_member(protocol, &members[i], object, status))
            return false;
    }
    if (json_object_size(object) != N_MEMBERS)
        return status_fail(status, STATUS_CONFIG, "a member that is not known here");
    return true;
}

bool score_protocol_equal(const struct score_protocol *a, const struct score_protocol *b,
                          struct status *status)
{
    for (int i = 0; i < N_MEMBERS; i++) {
        struct buf value_a = {0}, value_b = {0};
        bool equal;

        write_value(a, &members[i], &value_a);
        write_value(b, &members[i], &value_b);
        equal = text_equals(buf_text(&value_a), buf_text(&value_b));
        if (!equal)
            status_set(status, STATUS_DATA, "%s is %.160s, but %.160s in the shards before",
                       members[i].name, value_b.data, value_a.data);
        buf_release(&value_a);
        buf_release(&value_b);
        if (!equal)
            return false;
    }
    return true;
}

static void describe_length(const struct score_protocol *p, struct buf *out)
{
    if (strcmp(p->truncate, "error") == 0)
        buf_printf(out, "a text of more than %zu tokens fails; ", p->max_length);
    else if (strcmp(p->truncate, "window") == 0)
        buf_printf(out,
                   "a longer text than %zu tokens is read in windows of that length, %zu tokens "
                   "apart, each token scored once; ",
                   p->max_length, p->stride);
    else
        buf_printf(out, "of a longer text the %s %zu tokens are scored, the rest is cut; ",
                   strcmp(p->truncate, "tail") == 0 ? "last" : "first", p->max_length);
}

void score_protocol_describe(const struct score_protocol *p, struct buf *out)
{
    buf_printf(
        out,
        "Each record by itself%s, with the start token where the model's tokenizer puts one; "
        "a token is scored when it has a predecessor",
        p->compare ? ", by the model alone and by its adapter" : "");
    if (p->completion_only)
        buf_append_string(out, " and belongs to the completion");
    buf_append_string(out, "; natural logarithms; ");
    describe_length(p, out);
    buf_append_string(
        out, "a record's loss is its mean over the tokens scored. The card's figures: "
             "average_loss weights each record's loss by its number of tokens, the first one "
             "included, perplexity is its exponential, loss_std the standard deviation of the "
             "unweighted losses over the whole population. Ours: token_loss is the sum over all "
             "tokens scored, divided by their number; percentiles are of records' losses, from "
             "bins of 2^-10 nats. Records without a loss are counted under skipped and left out "
             "of all figures");
    if (p->compare)
        buf_append_string(out, ". Intervals: 95 %, by a paired bootstrap over "
                               "records, 1000 replicates of Poisson(1) weights");
    buf_append_char(out, '.');
}
