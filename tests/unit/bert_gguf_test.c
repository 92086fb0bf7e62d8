/* BERT in a GGUF file: its keys, what is refused by name, and that the same weights under GGUF's
 * names, with the same vocabulary in GGUF's spelling, give the vectors of the folder they are from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "file_bytes.h"
#include "formats/model_config.h"
#include "formats/safetensors.h"
#include "formats/sbert_config.h"
#include "model/encoder.h"
#include "tests/golden/golden.h"

/* ---- keys -------------------------------------------------------------------------------- */

/* A key of the file; type 0 takes it away. */
struct pair {
    const char *key;
    uint32_t type; /* BYTES_U32, BYTES_F32, BYTES_BOOL, BYTES_STRING */
    double number;
    const char *string;
};

static const struct pair good[] = {
    {"general.architecture", BYTES_STRING, 0, "bert"},
    {"general.type", BYTES_STRING, 0, "model"},
    {"bert.block_count", BYTES_U32, 2, NULL},
    {"bert.context_length", BYTES_U32, 64, NULL},
    {"bert.embedding_length", BYTES_U32, 48, NULL},
    {"bert.feed_forward_length", BYTES_U32, 90, NULL},
    {"bert.attention.head_count", BYTES_U32, 3, NULL},
    {"bert.attention.layer_norm_epsilon", BYTES_F32, 1e-12, NULL},
    {"bert.attention.causal", BYTES_BOOL, 0, NULL},
    {"bert.pooling_type", BYTES_U32, 1, NULL},
    {"tokenizer.ggml.token_type_count", BYTES_U32, 2, NULL},
};

enum { N_GOOD = sizeof(good) / sizeof(good[0]) };

static void put_pair(struct buf *b, const struct pair *pair)
{
    if (pair->type == BYTES_STRING) {
        put_key_string(b, pair->key, pair->string);
    } else if (pair->type == BYTES_F32) {
        put_key_f32(b, pair->key, (float)pair->number);
    } else if (pair->type == BYTES_BOOL) {
        put_key(b, pair->key, BYTES_BOOL);
        buf_append_char(b, (char)pair->number);
    } else {
        put_key_u32(b, pair->key, (uint32_t)pair->number);
    }
}

/* The good pairs, one of them changed; how many there are. */
static uint64_t put_pairs(struct buf *b, const struct pair *change)
{
    uint64_t n = 0;

    for (size_t i = 0; i < N_GOOD; i++) {
        const struct pair *pair =
            change && strcmp(good[i].key, change->key) == 0 ? change : &good[i];

        if (pair->type == 0)
            continue;
        put_pair(b, pair);
        n++;
    }
    return n;
}

/* Both readers over a file of these keys and n_tokens tokens. */
static bool read_keys(struct model_config *config, struct sbert_config *settings,
                      const struct pair *change, uint64_t n_tokens, struct status *status)
{
    struct buf keys = {0}, bytes = {0};
    const uint64_t n = put_pairs(&keys, change);
    struct gguf gguf;
    bool ok;

    put_gguf_start(&bytes, 0, n + 1);
    buf_append_text(&bytes, buf_text(&keys));
    put_key_array(&bytes, "tokenizer.ggml.tokens", BYTES_STRING, n_tokens);
    for (uint64_t i = 0; i < n_tokens; i++)
        put_string(&bytes, "a");
    put_padding(&bytes, 32);
    assert_true(gguf_read(&gguf, (const uint8_t *)bytes.data, bytes.len, status));
    ok = model_config_read_gguf(config, &gguf, status) &&
         sbert_config_read_gguf(settings, &gguf, config->max_seq_len, status);
    gguf_close(&gguf);
    buf_release(&keys);
    buf_release(&bytes);
    return ok;
}

static struct sbert_config read_good(struct model_config *config, const struct pair *change)
{
    struct sbert_config settings;
    struct status status = {0};

    if (!read_keys(config, &settings, change, 7, &status))
        fail_msg("%s", status.message);
    sbert_config_release(&settings);
    assert_true(read_keys(config, &settings, change, 7, &status));
    return settings;
}

static void reads_the_keys(void **state)
{
    struct model_config c;
    struct sbert_config s = read_good(&c, NULL);

    (void)state;
    assert_int_equal(c.architecture, ARCH_BERT);
    assert_string_equal(c.model_type, "bert");
    assert_int_equal(c.dim, 48);
    assert_int_equal(c.n_layers, 2);
    assert_int_equal(c.n_heads, 3);
    assert_int_equal(c.head_dim, 16);
    assert_int_equal(c.ffn_dim, 90);
    assert_int_equal(c.vocab_size, 7);
    assert_int_equal(c.max_seq_len, 64);
    assert_int_equal(c.type_vocab_size, 2);
    assert_int_equal(c.activation, ACTIVATION_GELU);
    assert_int_equal(c.n_labels, 0);
    assert_true(c.norm_eps > 0.9e-12f && c.norm_eps < 1.1e-12f);
    assert_int_equal(s.pooling, SBERT_MEAN);
    assert_int_equal(s.max_seq_length, 64);
    assert_int_equal(s.similarity, SBERT_COSINE);
    assert_false(s.normalize);
    assert_string_equal(s.query_prompt, "");
    sbert_config_release(&s);
    s = read_good(&c, &(struct pair){"bert.pooling_type", BYTES_U32, 2, NULL});
    assert_int_equal(s.pooling, SBERT_CLS);
    sbert_config_release(&s);
    s = read_good(&c, &(struct pair){"bert.pooling_type", 0, 0, NULL});
    assert_int_equal(s.pooling, SBERT_MEAN);
    sbert_config_release(&s);
}

static const struct {
    struct pair change;
    const char *message;
} bad[] = {
    {{"general.type", BYTES_STRING, 0, "adapter"},
     "general.type: 'adapter' is not supported, only 'model'"},
    {{"bert.embedding_length", 0, 0, NULL}, "bert.embedding_length: missing"},
    {{"bert.block_count", BYTES_U32, 0, NULL},
     "bert.block_count: must be an integer from 1 to 1024, is 0"},
    {{"bert.context_length", BYTES_STRING, 0, "64"},
     "bert.context_length: must be an integer, is a string"},
    {{"bert.attention.head_count", BYTES_U32, 7, NULL},
     "bert.embedding_length: must be a multiple of bert.attention.head_count 7, is 48"},
    {{"bert.embedding_length", BYTES_U32, 48000, NULL},
     "bert.embedding_length: heads of 16000, at most 1024 are computed"},
    {{"bert.attention.layer_norm_epsilon", BYTES_F32, 2, NULL},
     "bert.attention.layer_norm_epsilon: must be a number from 1e-30 to 1, is 2"},
    {{"bert.attention.causal", BYTES_BOOL, 1, NULL},
     "bert.attention.causal: true is not supported"},
    {{"tokenizer.ggml.token_type_count", 0, 0, NULL}, "tokenizer.ggml.token_type_count: missing"},
    {{"bert.pooling_type", BYTES_U32, 3, NULL},
     "bert.pooling_type: 3 is not supported, only 1 (mean) and 2 (cls)"},
    {{"bert.pooling_type", BYTES_U32, 4, NULL},
     "bert.pooling_type: 4 is not supported, only 1 (mean) and 2 (cls)"},
};

static void refuses_keys_by_name(void **state)
{
    struct model_config config;
    struct sbert_config settings;
    struct status status;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(read_keys(&config, &settings, &bad[i].change, 7, &status));
        assert_string_equal(status.message, bad[i].message);
        assert_int_equal(status.code, STATUS_CONFIG);
    }
    assert_false(read_keys(&config, &settings, NULL, 0, &status));
    assert_string_equal(status.message, "tokenizer.ggml.tokens: 0 tokens");
}

/* ---- a file as llama.cpp's converter writes it ------------------------------------------- */

static struct buf folder; /* of the small models */

static const char *const names[][2] = {
    {"embeddings.word_embeddings", "token_embd"},
    {"embeddings.position_embeddings", "position_embd"},
    {"embeddings.token_type_embeddings", "token_types"},
    {"embeddings.LayerNorm", "token_embd_norm"},
    {"encoder.layer.#.attention.self.query", "blk.#.attn_q"},
    {"encoder.layer.#.attention.self.key", "blk.#.attn_k"},
    {"encoder.layer.#.attention.self.value", "blk.#.attn_v"},
    {"encoder.layer.#.attention.output.dense", "blk.#.attn_output"},
    {"encoder.layer.#.attention.output.LayerNorm", "blk.#.attn_output_norm"},
    {"encoder.layer.#.intermediate.dense", "blk.#.ffn_up"},
    {"encoder.layer.#.output.dense", "blk.#.ffn_down"},
    {"encoder.layer.#.output.LayerNorm", "blk.#.layer_output_norm"},
};

struct gguf_writer {
    struct buf infos, data;
    uint64_t n;
};

static void put_weights(struct gguf_writer *w, const struct tensor_entry *t, const char *name)
{
    put_string(&w->infos, name);
    put_u32(&w->infos, (uint32_t)t->n_dims);
    for (int d = t->n_dims - 1; d >= 0; d--)
        put_u64(&w->infos, t->shape[d]);
    put_u32(&w->infos, 0); /* F32 */
    put_u64(&w->infos, w->data.len);
    buf_append(&w->data, (const char *)t->data, t->size);
    put_padding(&w->data, 32);
    w->n++;
}

/* "encoder.layer.#.x" and layer 1 -> "encoder.layer.1.x.weight" */
static void spell(char name[128], const char *format, int layer, const char *suffix)
{
    const char *number = strchr(format, '#');

    if (number)
        snprintf(name, 128, "%.*s%d%s%s", (int)(number - format), format, layer, number + 1,
                 suffix);
    else
        snprintf(name, 128, "%s%s", format, suffix);
}

static void put_tensors(struct gguf_writer *w, const struct tensor_file *from)
{
    static const char *const suffixes[] = {".weight", ".bias"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (int layer = 0; layer < (strchr(names[i][0], '#') ? 2 : 1); layer++) {
            for (int s = 0; s < 2; s++) {
                char hf[128], gguf[128];
                const struct tensor_entry *t;

                spell(hf, names[i][0], layer, suffixes[s]);
                spell(gguf, names[i][1], layer, suffixes[s]);
                t = tensor_file_find(from, hf);
                if (t) /* embeddings have no bias */
                    put_weights(w, t, gguf);
            }
        }
    }
    assert_int_equal(w->n, 37);
}

/* vocab.txt in GGUF's spelling: U+2581 before what begins a word, nothing for ##. */
static void put_vocabulary(struct buf *out, const char *path)
{
    struct mapped_file file;
    struct status status = {0};
    struct buf tokens = {0}, types = {0};
    uint64_t n = 0;

    golden_need(mapped_file_open(&file, path, &status), path, &status);
    for (const char *at = (const char *)file.data, *end; at < (const char *)file.data + file.size;
         at = end + 1, n++) {
        char token[64];
        int len;

        end = memchr(at, '\n', file.size);
        len = (int)(end - at);
        if (len > 1 && at[0] == '[')
            snprintf(token, sizeof(token), "%.*s", len, at);
        else if (len > 2 && at[0] == '#' && at[1] == '#')
            snprintf(token, sizeof(token), "%.*s", len - 2, at + 2);
        else
            snprintf(token, sizeof(token), "\xE2\x96\x81%.*s", len, at);
        put_string(&tokens, token);
        put_u32(&types, len > 1 && at[0] == '[' ? 3 : 1);
    }
    put_key_array(out, "tokenizer.ggml.tokens", BYTES_STRING, n);
    buf_append_text(out, buf_text(&tokens));
    put_key_array(out, "tokenizer.ggml.token_type", BYTES_I32, n);
    buf_append_text(out, buf_text(&types));
    mapped_file_close(&file);
    buf_release(&tokens);
    buf_release(&types);
}

static void put_bool(struct buf *b, const char *key, bool value)
{
    put_key(b, key, BYTES_BOOL);
    buf_append_char(b, (char)value);
}

/* bert-f32 as a GGUF file. */
static void write_gguf(const char *name)
{
    struct buf path = {0}, keys = {0}, bytes = {0};
    struct gguf_writer w = {0};
    struct tensor_file from;
    struct status status = {0};
    uint64_t n = put_pairs(&keys, NULL);

    buf_printf(&path, "%s/bert-f32/model.safetensors", folder.data);
    golden_need(safetensors_open(&from, path.data, &status), path.data, &status);
    put_tensors(&w, &from);
    buf_reset(&path);
    buf_printf(&path, "%s/bert-f32/vocab.txt", folder.data);
    put_vocabulary(&keys, path.data);
    put_key_string(&keys, "tokenizer.ggml.model", "bert");
    put_key_string(&keys, "tokenizer.ggml.pre", "jina-v2-en");
    put_key_u32(&keys, "tokenizer.ggml.bos_token_id", 2);
    put_key_u32(&keys, "tokenizer.ggml.eos_token_id", 3);
    put_key_u32(&keys, "tokenizer.ggml.unknown_token_id", 1);
    put_key_u32(&keys, "tokenizer.ggml.seperator_token_id", 3); /* llama.cpp's spelling */
    put_bool(&keys, "tokenizer.ggml.add_bos_token", true);
    put_bool(&keys, "tokenizer.ggml.add_eos_token", true);
    n += 10;
    put_gguf_start(&bytes, w.n, n);
    buf_append_text(&bytes, buf_text(&keys));
    buf_append_text(&bytes, buf_text(&w.infos));
    put_padding(&bytes, 32);
    buf_append_text(&bytes, buf_text(&w.data));
    write_file(folder.data, name, bytes.data, bytes.len);
    tensor_file_close(&from);
    buf_release(&path);
    buf_release(&keys);
    buf_release(&bytes);
    buf_release(&w.infos);
    buf_release(&w.data);
}

/* The vector of a text, length 1. */
static float *embed(const struct golden_device *d, const char *name, struct text text)
{
    struct status status = {0};
    struct buf path = {0};
    struct encoder *e;
    float *out;

    buf_printf(&path, "%s/%s", folder.data, name);
    e = encoder_open(path.data, d->backend, d->device, &status);
    golden_need(e != NULL, path.data, &status);
    out = memory_zeroed((size_t)encoder_dim(e), sizeof(*out));
    golden_need(encoder_embed(e, &text, NULL, 1, out, NULL, &status), "embed", &status);
    assert_int_equal(encoder_dim(e), 48);
    encoder_close(e);
    buf_release(&path);
    return out;
}

static void gives_the_vectors_of_the_folder(void **state)
{
    static const char *const texts[] = {
        "Hypertension and fever: what is the treatment?",
        "cardiomyopathy (dose 12.5 mg) \xE8\xA1\x80 caf\xC3\xA9 [SEP]",
        "",
    };
    struct golden_device d;

    (void)state;
    write_gguf("bert.gguf");
    golden_device_open(&d, golden_kernels[0], 1);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        float *a = embed(&d, "bert-f32", text_of(texts[i]));
        float *b = embed(&d, "bert.gguf", text_of(texts[i]));
        double ab = 0, aa = 0, bb = 0;

        for (int j = 0; j < 48; j++) {
            ab += (double)a[j] * (double)b[j];
            aa += (double)a[j] * (double)a[j];
            bb += (double)b[j] * (double)b[j];
        }
        assert_true(ab * ab > (1 - 1e-12) * aa * bb); /* the folder's are of length 1 */
        free(a);
        free(b);
    }
    golden_device_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_keys),
        cmocka_unit_test(refuses_keys_by_name),
        cmocka_unit_test(gives_the_vectors_of_the_folder),
    };
    int n_failed;

    golden_tiny_make(&folder);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    golden_tiny_remove(&folder);
    return n_failed;
}
