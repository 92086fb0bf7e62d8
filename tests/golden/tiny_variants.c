/* Small decoders of every variant that is read: windows, scaled positions, biases, weights in
 * several files, GGUF version 2. Those in GGUF files have a twin in a folder with the same values,
 * which is what transformers computes their golden losses from: it does not read all of it there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"
#include "tests/golden/tiny.h"

static struct tiny_model *make(const char *seed)
{
    struct tiny_model *m = memory_zeroed(1, sizeof(*m));

    m->name = seed;
    return m;
}

/* A bias for each linear layer so far that is part of attention, or of the MLP. */
static void add_biases(struct tiny_model *m, bool attention, bool mlp)
{
    const int n = m->n_tensors;

    for (int i = 0; i < n; i++) {
        const struct tiny_tensor *t = &m->tensors[i];
        const char *end = strstr(t->name, ".weight");
        const bool in_attention = strstr(t->name, "attn") != NULL;
        const bool in_mlp = strstr(t->name, "mlp") || strstr(t->name, "ffn");

        if (t->n_dims == 2 && ((attention && in_attention) || (mlp && in_mlp)))
            tiny_add(m, t->type, t->shape[0], 0, 0.5, "%.*s.bias", (int)(end - t->name), t->name)
                ->interleaved_heads = t->interleaved_heads;
    }
}

/* The sizes, in the spelling that both versions of transformers share. */
static void put_sizes(struct buf *config, const char *class_name, const char *model_type,
                      const struct tiny_shape *s)
{
    buf_printf(config,
               "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n"
               "  \"hidden_size\": %d,\n  \"num_hidden_layers\": %d,\n"
               "  \"num_attention_heads\": %d,\n  \"num_key_value_heads\": %d,\n"
               "  \"intermediate_size\": %d,\n  \"vocab_size\": %d,\n"
               "  \"max_position_embeddings\": %d,\n  \"hidden_act\": \"silu\",\n"
               "  \"rms_norm_eps\": 1e-05,\n  \"bos_token_id\": 1,\n  \"eos_token_id\": 2,\n",
               class_name, model_type, s->dim, s->n_layers, s->n_heads, s->n_kv_heads, s->ffn_dim,
               s->vocab_size, s->max_seq_len);
}

static void write_config(const char *folder, struct buf *config, const char *rest)
{
    buf_printf(config, "%s}\n", rest);
    tiny_write_text(folder, "config.json", config->data);
    buf_release(config);
}

/* One kv head, head_dim derived, a window shorter than a block. */
static void write_window(const char *dir)
{
    const struct tiny_shape s = {80, 2, 5, 1, 16, 133, 301, 1024};
    struct tiny_model *m = make("window");
    struct buf config = {0};
    char path[4096];

    tiny_add_decoder(m, TINY_HF, TINY_F16, TINY_F16, TINY_F16, TINY_F16, &s);
    tiny_make_dir(dir, "mistral-window", path, sizeof(path));
    put_sizes(&config, "MistralForCausalLM", "mistral", &s);
    write_config(path, &config,
                 "  \"rope_theta\": 10000.0,\n  \"sliding_window\": 40,\n"
                 "  \"tie_word_embeddings\": false,\n  \"torch_dtype\": \"float16\"\n");
    tiny_write_safetensors(path, m);
    free(m);
}

/* Three files and their index; a window longer than a block; heads of no multiple of 16. */
static void write_shards(const char *dir)
{
    enum { N_SHARDS = 3 };
    const struct tiny_shape s = {72, 3, 6, 2, 24, 96, 311, 1024};
    struct tiny_model *m = make("shards");
    struct buf config = {0}, index = {0};
    char path[4096], name[64];
    size_t total = 0;

    tiny_add_decoder(m, TINY_HF, TINY_BF16, TINY_BF16, TINY_BF16, TINY_BF16, &s);
    tiny_make_dir(dir, "mistral-shards", path, sizeof(path));
    put_sizes(&config, "MistralForCausalLM", "mistral", &s);
    write_config(path, &config,
                 "  \"head_dim\": 24,\n  \"sliding_window\": 100,\n"
                 "  \"layer_types\": [\"sliding_attention\", \"sliding_attention\","
                 " \"sliding_attention\"],\n"
                 "  \"rope_parameters\": {\"rope_theta\": 1000000.0, \"rope_type\": \"default\"},\n"
                 "  \"tie_word_embeddings\": false,\n  \"dtype\": \"bfloat16\"\n");
    for (int i = 0; i < N_SHARDS; i++) {
        const int first = m->n_tensors * i / N_SHARDS, end = m->n_tensors * (i + 1) / N_SHARDS;

        snprintf(name, sizeof(name), "model-%05d-of-%05d.safetensors", i + 1, N_SHARDS);
        total += tiny_write_shard(path, name, m, first, end);
        for (int t = first; t < end; t++)
            buf_printf(&index, "%s    \"%s\": \"%s\"", t > 0 ? ",\n" : "", m->tensors[t].name,
                       name);
    }
    buf_printf(&config,
               "{\n  \"metadata\": {\"total_size\": %zu},\n  \"weight_map\": {\n%s\n  }\n}\n",
               total, index.data);
    tiny_write_text(path, "model.safetensors.index.json", config.data);
    buf_release(&config);
    buf_release(&index);
    free(m);
}

/* A folder, and a GGUF file with the same values in its own order of rows. */
struct twins {
    const char *folder, *gguf, *rest;
    bool attention_bias, mlp_bias;
    int gguf_version;
    float linear_factor;
    const float *rope_freqs; /* [head_dim / 2] */
};

/* What llama3 comes to with theta 1e5, heads of 32, and the numbers below: computed by the rule of
 * llama.cpp's convert_hf_to_gguf.py. */
static const float llama3_divisors[] = {1, 1, 1.85927892f, 5.66872168f, 8, 8, 8, 8,
                                        8, 8, 8,           8,           8, 8, 8, 8};

static const struct twins all_twins[] = {
    {"llama-linear", "llama-linear-v2.gguf",
     "  \"rope_theta\": 100000.0,\n  \"rope_scaling\": {\"type\": \"linear\", \"factor\": 4.0},\n"
     "  \"attention_bias\": false,\n  \"mlp_bias\": true,\n  \"pretraining_tp\": 1,\n"
     "  \"tie_word_embeddings\": true,\n  \"torch_dtype\": \"float32\"\n",
     false, true, 2, 4, NULL},
    {"llama-3", "llama-3.gguf",
     "  \"head_dim\": 32,\n  \"rope_parameters\": {\"rope_type\": \"llama3\","
     " \"rope_theta\": 100000.0, \"factor\": 8.0,\n    \"low_freq_factor\": 1.0,"
     " \"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 64},\n"
     "  \"attention_bias\": true,\n  \"mlp_bias\": false,\n"
     "  \"tie_word_embeddings\": true,\n  \"dtype\": \"float32\"\n",
     true, false, 3, 0, llama3_divisors},
};

static void write_twins(const char *dir, const struct twins *twins)
{
    const struct tiny_shape s = {192, 2, 6, 2, 32, 160, tiny_gguf_vocab_size(), 2048};
    struct tiny_model *hf = make(twins->folder), *gguf = make(twins->folder);
    struct buf config = {0}, file = {0};
    char path[4096];

    tiny_add_decoder(hf, TINY_HF, TINY_F32, TINY_F32, TINY_F32, TINY_NONE, &s);
    add_biases(hf, twins->attention_bias, twins->mlp_bias);
    tiny_make_dir(dir, twins->folder, path, sizeof(path));
    put_sizes(&config, "LlamaForCausalLM", "llama", &s);
    write_config(path, &config, twins->rest);
    tiny_write_safetensors(path, hf);

    tiny_add_decoder(gguf, TINY_GGUF, TINY_F32, TINY_F32, TINY_F32, TINY_NONE, &s);
    add_biases(gguf, twins->attention_bias, twins->mlp_bias);
    for (int i = 0; i < gguf->n_tensors; i++)
        gguf->tensors[i].key = hf->tensors[i].key; /* the names differ, the values do not */
    if (twins->rope_freqs)
        tiny_add(gguf, TINY_F32, s.head_dim / 2, 0, 0, "rope_freqs.weight")->values =
            twins->rope_freqs;
    gguf->gguf_version = twins->gguf_version;
    gguf->linear_factor = twins->linear_factor;
    buf_printf(&file, "%s/%s", dir, twins->gguf);
    tiny_write_gguf(file.data, gguf, &s);
    buf_release(&file);
    free(hf);
    free(gguf);
}

void tiny_write_variants(const char *dir)
{
    write_window(dir);
    write_shards(dir);
    for (size_t i = 0; i < sizeof(all_twins) / sizeof(all_twins[0]); i++)
        write_twins(dir, &all_twins[i]);
}
