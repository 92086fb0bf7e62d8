#include "rank/evidence.h"

#include "formats/json_write.h"
#include "rank/reason.h"

static const struct {
    unsigned bit;
    const char *name;
} via_names[] = {
    {VIA_PAIR, "pair"},   {VIA_POOL, "pool"}, {VIA_QUERY, "query"},
    {VIA_CROSS, "cross"}, {VIA_BM25, "bm25"}, {VIA_EXPAND, "expand"},
};

static void write_via(unsigned via, struct buf *out)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < sizeof(via_names) / sizeof(via_names[0]); i++) {
        if (!(via & via_names[i].bit))
            continue;
        json_write_comma(out);
        json_write_string(out, text_of(via_names[i].name));
    }
    buf_append_char(out, ']');
}

static void write_rationales(const struct evidence *evidence, size_t index, struct buf *out)
{
    const struct meteora_scores *scores = evidence->scores;

    buf_append_char(out, '[');
    for (size_t i = 0; i < scores->n_rationales; i++) {
        json_write_comma(out);
        buf_append_char(out, '{');
        json_write_name(out, "index");
        json_write_uint(out, scores->rationales[i]);
        json_write_name(out, "similarity");
        json_write_double(out, scores->similarity[i * scores->n + index]);
        if (evidence->meteora->best && evidence->meteora->best[i] == index) {
            json_write_name(out, "best");
            json_write_bool(out, true);
        }
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

static void write_passage(const struct evidence *evidence, size_t rank, struct buf *sentence,
                          struct buf *out)
{
    const size_t index = evidence->meteora->order[rank - 1];
    const struct choice *choice = &evidence->meteora->choices[index];

    json_write_comma(out);
    buf_append_char(out, '{');
    json_write_name(out, "id");
    buf_append_text(out, evidence->passages->list[index].id);
    json_write_name(out, "rank");
    json_write_uint(out, rank);
    json_write_name(out, "score");
    json_write_double(out, choice->score);
    json_write_name(out, "selected");
    json_write_bool(out, choice->via != 0);
    json_write_name(out, "via");
    write_via(choice->via, out);
    json_write_name(out, "rationales");
    write_rationales(evidence, index, out);
    if (evidence->scores->pooled_via == VIA_POOL) {
        json_write_name(out, "pooled");
        json_write_double(out, evidence->scores->pooled[index]);
    }
    if (evidence->truncated && evidence->truncated[index]) {
        json_write_name(out, "truncated");
        json_write_bool(out, true);
    }
    json_write_name(out, "reason");
    buf_reset(sentence);
    reason_passage(evidence->meteora, evidence->scores, evidence->passages, index, sentence);
    json_write_string(out, buf_text(sentence));
    buf_append_char(out, '}');
}

static void write_selection(const struct evidence *evidence, struct buf *sentence, struct buf *out)
{
    buf_append_char(out, '{');
    json_write_name(out, "method");
    json_write_string(out, text_of(evidence->method));
    json_write_name(out, "cut");
    buf_reset(sentence);
    if (evidence->scores->pooled_via)
        cut_name(&evidence->scores->cut, sentence);
    else
        buf_append_string(sentence, "none");
    json_write_string(out, buf_text(sentence));
    json_write_name(out, "n");
    json_write_uint(out, evidence->meteora->n_selected);
    json_write_name(out, "abstained");
    json_write_bool(out, evidence->meteora->n_selected == 0);
    json_write_name(out, "encoder");
    if (evidence->encoder)
        json_write_string(out, text_of(evidence->encoder));
    else
        buf_append_string(out, "null");
    json_write_name(out, "truncated");
    json_write_uint(out, evidence->n_truncated);
    json_write_name(out, "reason");
    buf_reset(sentence);
    reason_selection(evidence->meteora, evidence->scores, evidence->query_alone, sentence);
    json_write_string(out, buf_text(sentence));
    buf_append_char(out, '}');
}

void evidence_write(const struct evidence *evidence, struct buf *out)
{
    struct buf sentence = {0};

    json_write_name(out, "evidence");
    buf_append_char(out, '[');
    for (size_t rank = 1; rank <= evidence->meteora->n; rank++)
        write_passage(evidence, rank, &sentence, out);
    buf_append_char(out, ']');
    json_write_name(out, "selection");
    write_selection(evidence, &sentence, out);
    buf_release(&sentence);
}
