/* The tokenizers inside GGUF: the vocabularies of SmolLM2 and MiniLM, written into such files under
 * other names, give the ids of tokenizers and transformers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mapped_file.h"
#include "base/memory.h"
#include "file_bytes.h"
#include "tests/golden/golden.h"
#include "tests/golden/hashes.h"
#include "text/tokenizer.h"

static struct tokens tokens;

static struct tokenizer *open_bytes(const struct buf *bytes)
{
    struct status status;
    struct gguf gguf;
    struct tokenizer *tokenizer;

    if (!gguf_read(&gguf, (const uint8_t *)bytes->data, bytes->len, &status))
        fail_msg("%s", status.message);
    tokenizer = tokenizer_open_gguf(&gguf, "x.gguf", &status);
    gguf_close(&gguf);
    if (!tokenizer)
        fail_msg("%s", status.message);
    return tokenizer;
}

static void put_text(struct buf *out, struct text text)
{
    put_u64(out, text.len);
    buf_append_text(out, text);
}

static void put_texts(struct buf *out, const struct gguf *gguf, const char *key)
{
    const struct text *items;
    struct status status;
    size_t n;

    assert_true(gguf_string_array(gguf, key, &items, &n, NULL, &status));
    put_key_array(out, key, BYTES_STRING, n);
    for (size_t i = 0; i < n; i++)
        put_text(out, items[i]);
}

/* SmolLM2's tokenizer with another pre-tokenizer. */
static struct tokenizer *open_smollm2_as(const char *pre)
{
    const char *types_key = "tokenizer.ggml.token_type";
    struct buf path = {0}, out = {0};
    struct status status;
    struct tokenizer *tokenizer;
    struct gguf gguf;
    int32_t *types;
    size_t n;

    golden_model("smollm2", &path);
    buf_append_string(&path, "/SmolLM2-135M-Instruct.Q4_1.gguf");
    assert_true(gguf_open(&gguf, path.data, &status));
    put_gguf_start(&out, 0, 7);
    put_key_string(&out, "general.architecture", "llama");
    put_key_string(&out, "tokenizer.ggml.model", "gpt2");
    put_key_string(&out, "tokenizer.ggml.pre", pre);
    put_texts(&out, &gguf, "tokenizer.ggml.tokens");
    put_texts(&out, &gguf, "tokenizer.ggml.merges");
    assert_true(gguf_int_array(&gguf, types_key, &types, &n, NULL, &status));
    put_key_array(&out, types_key, BYTES_I32, n);
    for (size_t i = 0; i < n; i++)
        put_u32(&out, (uint32_t)types[i]);
    put_key(&out, "tokenizer.ggml.add_bos_token", BYTES_BOOL);
    buf_append_char(&out, 0);
    put_padding(&out, 32);
    gguf_close(&gguf);
    free(types);
    tokenizer = open_bytes(&out);
    buf_release(&out);
    buf_release(&path);
    return tokenizer;
}

static void encode(const struct tokenizer *tokenizer, struct text text)
{
    struct status status;

    tokens_reset(&tokens);
    assert_true(tokenizer_encode(tokenizer, text, TOKENIZER_SPECIAL, &tokens, &status));
}

static void check_pre(const char *pre, const char *golden)
{
    struct tokenizer *tokenizer = open_smollm2_as(pre);
    json_t *texts = golden_rows("tokens/hard.jsonl"), *rows = golden_rows("tokens/gguf_hard.jsonl");
    const json_t *row;
    char hex[17];
    size_t i;

    assert_int_equal(json_array_size(texts), json_array_size(rows));
    json_array_foreach(rows, i, row)
    {
        encode(tokenizer, golden_text(json_array_get(texts, i), "text"));
        snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)hashes_of_ids(&tokens));
        if (!text_is(golden_text(row, golden), hex))
            fail_msg("%s: row %zu differs", pre, i);
    }
    json_decref(rows);
    json_decref(texts);
    tokenizer_close(tokenizer);
}

static void gpt_2_splits_as_its_pattern_says(void **state)
{
    (void)state;
    check_pre("gpt-2", "gpt-2");
}

static void default_splits_as_gpt_2(void **state)
{
    (void)state;
    check_pre("default", "gpt-2");
}

static void llama_bpe_splits_as_llama_3_and_takes_whole_tokens_first(void **state)
{
    (void)state;
    check_pre("llama-bpe", "llama-bpe");
}

/* As llama.cpp's converter spells a piece of BERT. */
static void put_bert_piece(struct buf *out, struct text piece)
{
    struct buf spelled = {0};

    if (piece.len > 1 && piece.ptr[0] == '[' && piece.ptr[piece.len - 1] == ']') {
        buf_append_text(&spelled, piece);
    } else if (text_starts_with(piece, text_of("##"))) {
        buf_append(&spelled, piece.ptr + 2, piece.len - 2);
    } else {
        buf_append_string(&spelled, "\u2581");
        buf_append_text(&spelled, piece);
    }
    put_text(out, buf_text(&spelled));
    buf_release(&spelled);
}

static struct tokenizer *open_minilm(void)
{
    struct buf path = {0}, out = {0};
    struct status status;
    struct tokenizer *from, *tokenizer;
    int n;

    golden_model("minilm", &path);
    from = tokenizer_open(path.data, &status);
    assert_non_null(from);
    n = tokenizer_vocab_size(from);
    put_gguf_start(&out, 0, 3);
    put_key_string(&out, "tokenizer.ggml.model", "bert");
    put_key_array(&out, "tokenizer.ggml.tokens", BYTES_STRING, (uint64_t)n);
    for (int id = 0; id < n; id++)
        put_bert_piece(&out, tokenizer_piece(from, id));
    put_key_array(&out, "tokenizer.ggml.token_type", BYTES_I32, (uint64_t)n);
    for (int id = 0; id < n; id++)
        put_u32(&out, tokenizer_is_control(from, id) ? 3 : 1);
    put_padding(&out, 32);
    tokenizer = open_bytes(&out);
    tokenizer_close(from);
    buf_release(&out);
    buf_release(&path);
    return tokenizer;
}

static void bert_is_spelled_back_and_gives_the_ids_of_transformers(void **state)
{
    struct tokenizer *tokenizer = open_minilm();
    json_t *rows = golden_rows("tokens/hard.jsonl");
    const json_t *row;
    size_t i;

    (void)state;
    assert_true(tokenizer_has_pairs(tokenizer));
    json_array_foreach(rows, i, row)
    {
        const json_t *want = json_object_get(row, "minilm");

        encode(tokenizer, golden_text(row, "text"));
        if (!json_is_array(want))
            continue;
        assert_int_equal(json_array_size(want), tokens.n);
        for (size_t k = 0; k < tokens.n; k++)
            assert_int_equal(json_integer_value(json_array_get(want, k)), tokens.ids[k]);
    }
    json_decref(rows);
    tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt_2_splits_as_its_pattern_says),
        cmocka_unit_test(default_splits_as_gpt_2),
        cmocka_unit_test(llama_bpe_splits_as_llama_3_and_takes_whole_tokens_first),
        cmocka_unit_test(bert_is_spelled_back_and_gives_the_ids_of_transformers),
    };
    struct buf path = {0};
    int n_failed;

    golden_model("smollm2", &path);
    buf_reset(&path);
    golden_model("minilm", &path);
    buf_release(&path);
    n_failed = cmocka_run_group_tests_name("golden_gguf_tokens", tests, NULL, NULL);
    tokens_release(&tokens);
    return n_failed;
}
