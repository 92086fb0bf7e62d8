/* Model configurations out of the keys of a GGUF file, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "formats/model_config.h"

static void assert_double(double value, double wanted)
{
    assert_true(value >= wanted && value <= wanted);
}

enum { T_F32 = 0 };

/* One key of a GGUF file; type 0 takes the key away. */
struct pair {
    const char *key;
    uint32_t type; /* BYTES_U32, BYTES_F32, BYTES_STRING */
    double number;
    const char *string;
};

static const struct pair good_pairs[] = {
    {"general.architecture", BYTES_STRING, 0, "llama"},
    {"llama.context_length", BYTES_U32, 8192, NULL},
    {"llama.embedding_length", BYTES_U32, 576, NULL},
    {"llama.block_count", BYTES_U32, 30, NULL},
    {"llama.feed_forward_length", BYTES_U32, 1536, NULL},
    {"llama.attention.head_count", BYTES_U32, 9, NULL},
    {"llama.attention.head_count_kv", BYTES_U32, 3, NULL},
    {"llama.attention.layer_norm_rms_epsilon", BYTES_F32, 0.25, NULL},
    {"llama.rope.freq_base", BYTES_F32, 100000, NULL},
    {"llama.rope.dimension_count", BYTES_U32, 64, NULL},
    {"llama.vocab_size", BYTES_U32, 49152, NULL},
    {"tokenizer.ggml.bos_token_id", BYTES_U32, 1, NULL},
    {"tokenizer.ggml.eos_token_id", BYTES_U32, 2, NULL},
};

#define N_GOOD (sizeof(good_pairs) / sizeof(good_pairs[0]))

static void put_pair(struct buf *b, const struct pair *pair)
{
    if (pair->type == BYTES_STRING)
        put_key_string(b, pair->key, pair->string);
    else if (pair->type == BYTES_F32)
        put_key_f32(b, pair->key, (float)pair->number);
    else
        put_key_u32(b, pair->key, (uint32_t)pair->number);
}

/* The good pairs with one changed, added or taken away, and one tensor of this name. */
static bool read_gguf(struct model_config *config, const struct pair *change, const char *tensor,
                      struct status *status)
{
    struct buf body = {0}, bytes = {0};
    struct gguf gguf;
    uint64_t n = 0;
    bool ok, placed = false;

    for (size_t i = 0; i < N_GOOD; i++) {
        const bool same = strcmp(good_pairs[i].key, change->key) == 0;
        const struct pair *pair = same ? change : &good_pairs[i];

        placed = placed || same;
        if (pair->type == 0)
            continue;
        put_pair(&body, pair);
        n++;
    }
    if (!placed && change->type != 0) {
        put_pair(&body, change);
        n++;
    }
    put_gguf_start(&bytes, 1, n);
    buf_append_text(&bytes, buf_text(&body));
    put_tensor(&bytes, tensor, 2, 2, T_F32, 0);
    put_padding(&bytes, 32);
    put_zeros(&bytes, 16);
    assert_true(gguf_read(&gguf, (const uint8_t *)bytes.data, bytes.len, status));
    ok = model_config_read_gguf(config, &gguf, status);
    gguf_close(&gguf);
    buf_release(&body);
    buf_release(&bytes);
    return ok;
}

static void reads_the_keys_of_a_llama_gguf(void **state)
{
    struct model_config c;
    struct status status = {0};

    (void)state;
    assert_true(read_gguf(&c, &(struct pair){"x", 0, 0, NULL}, "token_embd.weight", &status));
    assert_int_equal(c.architecture, ARCH_LLAMA);
    assert_string_equal(c.model_type, "llama");
    assert_int_equal(c.dim, 576);
    assert_int_equal(c.n_layers, 30);
    assert_int_equal(c.n_heads, 9);
    assert_int_equal(c.n_kv_heads, 3);
    assert_int_equal(c.head_dim, 64);
    assert_int_equal(c.ffn_dim, 1536);
    assert_int_equal(c.vocab_size, 49152);
    assert_int_equal(c.max_seq_len, 8192);
    assert_double((double)c.norm_eps, 0.25);
    assert_double(c.rope.theta, 100000);
    assert_true(c.tied_embeddings);
    assert_true(c.qk_interleaved);
    assert_int_equal(c.bos_id, 1);
    assert_int_equal(c.n_eos_ids, 1);
    assert_int_equal(c.eos_ids[0], 2);
}

static void takes_what_a_gguf_leaves_out_from_the_rest(void **state)
{
    struct model_config c;
    struct status status = {0};

    (void)state;
    assert_true(read_gguf(&c, &(struct pair){"llama.rope.freq_base", 0, 0, NULL},
                          "token_embd.weight", &status));
    assert_double(c.rope.theta, 10000);
    assert_true(read_gguf(&c, &(struct pair){"llama.attention.head_count_kv", 0, 0, NULL},
                          "output.weight", &status));
    assert_int_equal(c.n_kv_heads, 9);
    assert_false(c.tied_embeddings);
    assert_true(read_gguf(&c, &(struct pair){"tokenizer.ggml.eot_token_id", BYTES_U32, 0, NULL},
                          "token_embd.weight", &status));
    assert_int_equal(c.n_eos_ids, 2);
    assert_int_equal(c.eos_ids[1], 0);
}

static const struct {
    struct pair change;
    const char *message;
} bad_pairs[] = {
    {{"general.architecture", 0, 0, NULL}, "general.architecture: missing"},
    {{"general.architecture", BYTES_U32, 7, NULL},
     "general.architecture: must be a string, is an integer"},
    {{"general.architecture", BYTES_STRING, 0, "qwen2"},
     "general.architecture: 'qwen2' is not supported, only 'llama' and 'bert'"},
    {{"general.architecture", BYTES_STRING, 0, "\033[2J"},
     "general.architecture: '?' is not supported, only 'llama' and 'bert'"},
    {{"general.type", BYTES_STRING, 0, "adapter"},
     "general.type: 'adapter' is not supported, only 'model'"},
    {{"llama.embedding_length", 0, 0, NULL}, "llama.embedding_length: missing"},
    {{"llama.embedding_length", BYTES_U32, 65537, NULL},
     "llama.embedding_length: must be an integer from 1 to 65536, is 65537"},
    {{"llama.embedding_length", BYTES_STRING, 0, "576"},
     "llama.embedding_length: must be an integer, is a string"},
    {{"llama.embedding_length", BYTES_U32, 577, NULL},
     "llama.embedding_length: must be a multiple of llama.attention.head_count 9, is 577"},
    {{"llama.block_count", BYTES_U32, 0, NULL},
     "llama.block_count: must be an integer from 1 to 1024, is 0"},
    {{"llama.context_length", BYTES_U32, 4294967295.0, NULL},
     "llama.context_length: must be an integer from 1 to 16777216, is 4294967295"},
    {{"llama.attention.head_count_kv", BYTES_U32, 2, NULL},
     "llama.attention.head_count_kv: must divide llama.attention.head_count 9, is 2"},
    {{"llama.attention.layer_norm_rms_epsilon", 0, 0, NULL},
     "llama.attention.layer_norm_rms_epsilon: missing"},
    {{"llama.attention.layer_norm_rms_epsilon", BYTES_F32, 2, NULL},
     "llama.attention.layer_norm_rms_epsilon: must be a number from 1e-30 to 1, is 2"},
    {{"llama.attention.key_length", BYTES_U32, 63, NULL},
     "llama.attention.key_length: must be even for rotary positions, is 63"},
    {{"llama.attention.value_length", BYTES_U32, 32, NULL},
     "llama.attention.value_length: 32 is not supported with keys of 64"},
    {{"llama.rope.dimension_count", BYTES_U32, 32, NULL},
     "llama.rope.dimension_count: 32 is not supported with heads of 64"},
    {{"llama.rope.freq_base", BYTES_F32, 0, NULL},
     "llama.rope.freq_base: must be a number from 1 to 1e+12, is 0"},
    {{"llama.rope.scaling.type", BYTES_STRING, 0, "yarn"},
     "llama.rope.scaling.type: 'yarn' is not supported, only 'none' and 'linear'"},
    {{"llama.rope.scaling.type", BYTES_U32, 1, NULL},
     "llama.rope.scaling.type: must be a string, is an integer"},
    {{"llama.rope.scaling.factor", BYTES_F32, -4, NULL},
     "llama.rope.scaling.factor: must be a number from 0 to 1e+06, is -4"},
    {{"llama.rope.scale_linear", BYTES_F32, 0x1p-30, NULL},
     "llama.rope.scale_linear: must be 0 or no less than 1e-06, is 9.31323e-10"},
    {{"llama.rope.scaling.attn_factor", BYTES_F32, 1.5, NULL},
     "llama.rope.scaling.attn_factor: 1.5 is not supported"},
    {{"llama.expert_count", BYTES_U32, 8, NULL}, "llama.expert_count: 8 is not supported"},
    {{"llama.expert_count", BYTES_STRING, 0, "8"},
     "llama.expert_count: must be an integer, is a string"},
    {{"llama.logit_scale", BYTES_F32, 0.5, NULL}, "llama.logit_scale: 0.5 is not supported"},
    {{"llama.vocab_size", 0, 0, NULL}, "llama.vocab_size: missing"},
    {{"tokenizer.ggml.bos_token_id", BYTES_U32, 49152, NULL},
     "tokenizer.ggml.bos_token_id: 49152 is no token of 49152"},
    {{"tokenizer.ggml.eos_token_id", BYTES_U32, 4294967295.0, NULL},
     "tokenizer.ggml.eos_token_id: 4294967295 is no token of 49152"},
};

static void refuses_gguf_keys_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_pairs) / sizeof(bad_pairs[0]); i++) {
        struct model_config config;
        struct status status = {0};

        assert_false(read_gguf(&config, &bad_pairs[i].change, "token_embd.weight", &status));
        assert_string_equal(status.message, bad_pairs[i].message);
        assert_int_equal(status.code, STATUS_CONFIG);
    }
}

static void reads_window_and_scaling_of_a_gguf(void **state)
{
    struct model_config c;
    struct status status = {0};
    const struct pair linear = {"llama.rope.scaling.factor", BYTES_F32, 4, NULL};
    const struct pair old = {"llama.rope.scale_linear", BYTES_F32, 2, NULL};
    const struct pair none = {"llama.rope.scaling.type", BYTES_STRING, 0, "none"};
    const struct pair window = {"llama.attention.sliding_window", BYTES_U32, 4096, NULL};

    (void)state;
    assert_true(read_gguf(&c, &linear, "token_embd.weight", &status));
    assert_int_equal(c.rope.scaling, ROPE_LINEAR);
    assert_double(c.rope.factor, 4);
    assert_true(read_gguf(&c, &old, "token_embd.weight", &status));
    assert_double(c.rope.factor, 2);
    assert_true(read_gguf(&c, &none, "token_embd.weight", &status));
    assert_int_equal(c.rope.scaling, ROPE_PLAIN);
    assert_int_equal(c.sliding_window, 0);
    assert_true(read_gguf(&c, &window, "token_embd.weight", &status));
    assert_int_equal(c.sliding_window, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_keys_of_a_llama_gguf),
        cmocka_unit_test(takes_what_a_gguf_leaves_out_from_the_rest),
        cmocka_unit_test(refuses_gguf_keys_by_name),
        cmocka_unit_test(reads_window_and_scaling_of_a_gguf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
