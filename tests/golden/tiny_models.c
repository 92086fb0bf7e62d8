#include "tests/golden/tiny.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static void add_norm(struct tiny_model *m, enum tiny_type type, int dim, const char *name)
{
    tiny_add(m, type, dim, 0, 0.25, "%s", name)->offset = 1;
}

/* The names of one layer's tensors: %d is the layer. */
struct names {
    const char *embed, *norm, *head, *prefix;
    const char *attn_norm, *q, *k, *v, *o, *ffn_norm, *gate, *up, *down;
};

static const struct names hf_names = {
    "model.embed_tokens",
    "model.norm",
    "lm_head",
    "model.layers.",
    "input_layernorm",
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "post_attention_layernorm",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
};

static const struct names gguf_names = {
    "token_embd", "output_norm", "output",   "blk.",     "attn_norm", "attn_q",   "attn_k",
    "attn_v",     "attn_output", "ffn_norm", "ffn_gate", "ffn_up",    "ffn_down",
};

static void add_layer(struct tiny_model *m, const struct names *names, enum tiny_type type,
                      enum tiny_type norm_type, const struct tiny_shape *s, int layer)
{
    const bool gguf = names == &gguf_names;
    const int q_dim = s->n_heads * s->head_dim, kv_dim = s->n_kv_heads * s->head_dim;
    const struct {
        const char *name;
        int rows, cols, heads;
        double gain;
    } linears[] = {
        {names->q, q_dim, s->dim, s->n_heads, 1.5}, {names->k, kv_dim, s->dim, s->n_kv_heads, 1.5},
        {names->v, kv_dim, s->dim, 0, 1.2},         {names->o, s->dim, q_dim, 0, 1.2},
        {names->gate, s->ffn_dim, s->dim, 0, 1.5},  {names->up, s->ffn_dim, s->dim, 0, 1.2},
        {names->down, s->dim, s->ffn_dim, 0, 1.2},
    };
    char norm[64];

    snprintf(norm, sizeof(norm), "%s%d.%s.weight", names->prefix, layer, names->attn_norm);
    add_norm(m, norm_type, s->dim, norm);
    snprintf(norm, sizeof(norm), "%s%d.%s.weight", names->prefix, layer, names->ffn_norm);
    add_norm(m, norm_type, s->dim, norm);
    for (size_t i = 0; i < sizeof(linears) / sizeof(linears[0]); i++) {
        struct tiny_tensor *t = tiny_add(m, type, linears[i].rows, linears[i].cols,
                                         tiny_gain(linears[i].gain, linears[i].cols),
                                         "%s%d.%s.weight", names->prefix, layer, linears[i].name);

        t->interleaved_heads = gguf ? linears[i].heads : 0;
    }
}

void tiny_add_decoder(struct tiny_model *m, enum tiny_naming naming, enum tiny_type embed_type,
                      enum tiny_type type, enum tiny_type norm_type, enum tiny_type head_type,
                      const struct tiny_shape *s)
{
    const struct names *names = naming == TINY_GGUF ? &gguf_names : &hf_names;
    char name[64];

    snprintf(name, sizeof(name), "%s.weight", names->norm);
    add_norm(m, norm_type, s->dim, name);
    /* A tied head reads logits of about this spread times sqrt(dim) off the normed stream. */
    const double embed_scale = head_type == TINY_NONE ? tiny_gain(2.5, s->dim) : 0.5;
    const uint64_t embed_key =
        tiny_add(m, embed_type, s->vocab_size, s->dim, embed_scale, "%s.weight", names->embed)->key;

    if (head_type != TINY_NONE) {
        struct tiny_tensor *head = tiny_add(m, head_type, s->vocab_size, s->dim,
                                            tiny_gain(1.5, s->dim), "%s.weight", names->head);

        head->planted_key = embed_key;
        head->planted_scale = tiny_gain(2, s->dim);
    }
    for (int layer = 0; layer < s->n_layers; layer++)
        add_layer(m, names, type, norm_type, s, layer);
}

/* Odd sizes on purpose: no dimension but head_dim is a multiple of 16. */
static void write_mistral(const char *dir, const char *name, enum tiny_type type,
                          const char *dtype_name)
{
    const struct tiny_shape s = {76, 2, 6, 2, 32, 150, 307, 2048};
    struct tiny_model *m = memset(malloc(sizeof(*m)), 0, sizeof(*m));
    struct buf config = {0};
    char path[4096];

    m->name = "mistral"; /* the three types round the same values */
    tiny_add_decoder(m, TINY_HF, type, type, type, type, &s);
    buf_printf(&config,
               "{\n  \"architectures\": [\"MistralForCausalLM\"],\n"
               "  \"model_type\": \"mistral\",\n  \"hidden_size\": %d,\n"
               "  \"num_hidden_layers\": %d,\n  \"num_attention_heads\": %d,\n"
               "  \"num_key_value_heads\": %d,\n  \"head_dim\": %d,\n"
               "  \"intermediate_size\": %d,\n  \"vocab_size\": %d,\n"
               "  \"max_position_embeddings\": %d,\n  \"rms_norm_eps\": 1e-05,\n"
               "  \"rope_theta\": 1000000.0,\n  \"sliding_window\": null,\n"
               "  \"hidden_act\": \"silu\",\n  \"attention_dropout\": 0.0,\n"
               "  \"initializer_range\": 0.02,\n  \"tie_word_embeddings\": false,\n"
               "  \"bos_token_id\": 1,\n  \"eos_token_id\": 2,\n  \"use_cache\": true,\n"
               "  \"torch_dtype\": \"%s\",\n  \"transformers_version\": \"4.42.0.dev0\"\n}\n",
               s.dim, s.n_layers, s.n_heads, s.n_kv_heads, s.head_dim, s.ffn_dim, s.vocab_size,
               s.max_seq_len, dtype_name);
    tiny_make_dir(dir, name, path, sizeof(path));
    tiny_write_text(path, "config.json", config.data);
    tiny_write_safetensors(path, m);
    buf_release(&config);
    free(m);
}

static void write_llama(const char *dir)
{
    const struct tiny_shape s = {64, 3, 4, 4, 16, 112, 259, 1024};
    struct tiny_model *m = memset(malloc(sizeof(*m)), 0, sizeof(*m));
    struct buf config = {0};
    char path[4096];

    m->name = "llama";
    tiny_add_decoder(m, TINY_HF, TINY_F32, TINY_F32, TINY_F32, TINY_NONE, &s);
    buf_printf(&config,
               "{\n  \"architectures\": [\"LlamaForCausalLM\"],\n  \"attention_bias\": false,\n"
               "  \"attention_dropout\": 0.0,\n  \"bos_token_id\": 1,\n  \"dtype\": \"float32\",\n"
               "  \"eos_token_id\": [2, 0],\n  \"hidden_act\": \"silu\",\n"
               "  \"hidden_size\": %d,\n  \"initializer_range\": 0.02,\n"
               "  \"intermediate_size\": %d,\n  \"max_position_embeddings\": %d,\n"
               "  \"mlp_bias\": false,\n  \"model_type\": \"llama\",\n"
               "  \"num_attention_heads\": %d,\n  \"num_hidden_layers\": %d,\n"
               "  \"num_key_value_heads\": %d,\n  \"pretraining_tp\": 1,\n"
               "  \"rms_norm_eps\": 1e-06,\n  \"rope_parameters\": {\n"
               "    \"rope_theta\": 50000.0,\n    \"rope_type\": \"default\"\n  },\n"
               "  \"tie_word_embeddings\": true,\n  \"transformers_version\": \"5.2.0\",\n"
               "  \"use_cache\": true,\n  \"vocab_size\": %d\n}\n",
               s.dim, s.ffn_dim, s.max_seq_len, s.n_heads, s.n_layers, s.n_kv_heads, s.vocab_size);
    tiny_make_dir(dir, "llama-f32", path, sizeof(path));
    tiny_write_text(path, "config.json", config.data);
    tiny_write_safetensors(path, m);
    buf_release(&config);
    free(m);
}

static void write_gguf(const char *dir, const char *name, enum tiny_type embed_type,
                       enum tiny_type type, enum tiny_type head_type)
{
    const struct tiny_shape s = {96, 2, 6, 2, 32, 160, tiny_gguf_vocab_size(), 2048};
    struct tiny_model *m = memset(malloc(sizeof(*m)), 0, sizeof(*m));
    struct buf path = {0};

    m->name = "gguf";
    tiny_add_decoder(m, TINY_GGUF, embed_type, type, TINY_F32, head_type, &s);
    buf_printf(&path, "%s/%s", dir, name);
    tiny_write_gguf(path.data, m, &s);
    buf_release(&path);
    free(m);
}

void tiny_write_all(const char *dir)
{
    write_mistral(dir, "mistral-f32", TINY_F32, "float32");
    write_mistral(dir, "mistral-f16", TINY_F16, "float16");
    write_mistral(dir, "mistral-bf16", TINY_BF16, "bfloat16");
    write_llama(dir);
    write_gguf(dir, "llama-f32.gguf", TINY_F32, TINY_F32, TINY_NONE);
    write_gguf(dir, "llama-f16.gguf", TINY_F16, TINY_F16, TINY_F16);
    write_gguf(dir, "llama-q8_0.gguf", TINY_Q8_0, TINY_Q8_0, TINY_NONE);
    write_gguf(dir, "llama-q4_0.gguf", TINY_F16, TINY_Q4_0, TINY_Q8_0);
    write_gguf(dir, "llama-q4_1.gguf", TINY_Q8_0, TINY_Q4_1, TINY_NONE);
    tiny_write_variants(dir);
    tiny_write_berts(dir);
}
