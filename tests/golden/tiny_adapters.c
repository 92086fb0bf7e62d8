#include "tests/golden/tiny.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/peft_write.h"

/* The linear layers of a decoder's layer, as bits. */
enum {
    Q = 1,
    K = 2,
    V = 4,
    O = 8,
    GATE = 16,
    UP = 32,
    DOWN = 64,
    ATTENTION = Q | K | V | O,
    ALL = ATTENTION | GATE | UP | DOWN,
};

enum { N_LINEARS = 7, MAX_PARTS = 6 };

#define EVERY (~0u)
#define HEAD_ONLY 0u

static const char *const linear_names[N_LINEARS] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj",
};

/* What an adapter changes: these linears of these layers (bits), or the output. */
struct part {
    unsigned layers, linears;
    int rank;
};

static const struct tiny_shape mistral = {76, 2, 6, 2, 32, 150, 307, 0};
static const struct tiny_shape llama = {64, 3, 4, 4, 16, 112, 259, 0};
static const struct tiny_shape gguf = {96, 2, 6, 2, 32, 160, 0, 0};
static const struct tiny_shape shards = {72, 3, 6, 2, 24, 96, 311, 0};
static const struct tiny_shape smollm2 = {576, 30, 9, 3, 64, 1536, 49152, 0};

#define LORA "\"peft_type\": \"LORA\""
#define EVERY_LINEAR                                                                               \
    "[\"q_proj\", \"k_proj\", \"v_proj\", \"o_proj\", \"gate_proj\", \"up_proj\", \"down_proj\"]"

/* As PEFT 0.21 writes it. */
static const char newest[] =
    "{\n  \"alora_invocation_tokens\": null,\n  \"alpha_pattern\": {},\n"
    "  \"arrow_config\": null,\n  \"auto_mapping\": null,\n"
    "  \"base_model_name_or_path\": \"tiny/mistral-f32\",\n  \"bias\": \"none\",\n"
    "  \"corda_config\": null,\n  \"ensure_weight_tying\": false,\n  \"eva_config\": null,\n"
    "  \"exclude_modules\": null,\n  \"fan_in_fan_out\": false,\n  \"inference_mode\": true,\n"
    "  \"init_lora_weights\": true,\n  \"kasa_config\": null,\n  \"layer_replication\": null,\n"
    "  \"layers_pattern\": null,\n  \"layers_to_transform\": null,\n  \"loftq_config\": {},\n"
    "  \"lora_alpha\": 32,\n  \"lora_bias\": false,\n  \"lora_dropout\": 0.05,\n"
    "  \"lora_ga_config\": null,\n  \"megatron_config\": null,\n"
    "  \"megatron_core\": \"megatron.core\",\n  \"modules_to_save\": null,\n"
    "  \"monteclora_config\": null,\n  \"peft_type\": \"LORA\",\n"
    "  \"peft_version\": \"0.21.2\",\n  \"qalora_group_size\": 16,\n  \"r\": 16,\n"
    "  \"rank_pattern\": {},\n  \"revision\": null,\n  \"target_modules\": [\n    \"v_proj\",\n"
    "    \"o_proj\",\n    \"q_proj\",\n    \"k_proj\"\n  ],\n  \"target_parameters\": null,\n"
    "  \"task_type\": \"CAUSAL_LM\",\n  \"trainable_token_indices\": null,\n"
    "  \"use_bdlora\": null,\n  \"use_dora\": false,\n  \"use_qalora\": false,\n"
    "  \"use_rslora\": false,\n  \"velora_config\": null\n}\n";

/* As 0.5 wrote it. */
static const char oldest[] =
    "{\n  \"auto_mapping\": null,\n  \"base_model_name_or_path\": \"tiny/llama-f32\",\n"
    "  \"bias\": \"none\",\n  \"fan_in_fan_out\": false,\n  \"inference_mode\": true,\n"
    "  \"init_lora_weights\": true,\n  \"layers_pattern\": null,\n"
    "  \"layers_to_transform\": null,\n  \"lora_alpha\": 4,\n  \"lora_dropout\": 0.1,\n"
    "  \"modules_to_save\": null,\n  \"peft_type\": \"LORA\",\n  \"r\": 4,\n"
    "  \"revision\": null,\n  \"target_modules\": [\n    \"q_proj\",\n    \"v_proj\"\n  ],\n"
    "  \"task_type\": \"CAUSAL_LM\"\n}";

/* `gain` is that of B: with the scale it says how much the adapter moves. */
static const struct tiny_adapter {
    const char *name;
    const struct tiny_shape *shape;
    enum tiny_type type;
    double gain;
    const char *config;
    struct part parts[MAX_PARTS];
} adapters[] = {
    {"attention", &mistral, TINY_F32, 0.3, newest, {{EVERY, ATTENTION, 16}}},
    {"old", &llama, TINY_F16, 0.5, oldest, {{EVERY, Q | V, 4}}},
    {"least", &mistral, TINY_F32, 0.5, "{" LORA "}", {{EVERY, Q | V, 8}}},
    {"suffixes",
     &mistral,
     TINY_BF16,
     0.3,
     "{" LORA ", \"r\": 5, \"lora_alpha\": 10, \"fan_in_fan_out\": true, "
     "\"target_modules\": [\"self_attn.q_proj\", \"layers.1.mlp.down_proj\"]}",
     {{EVERY, Q, 5}, {2, DOWN, 5}}},
    {"regex",
     &mistral,
     TINY_F32,
     0.5,
     "{" LORA ", \"r\": 33, \"lora_alpha\": 16.5, \"target_modules\": "
     "\"model\\\\.layers\\\\.[01]\\\\.(self_attn\\\\.(q|v)|mlp\\\\.(gate|up))_proj\"}",
     {{EVERY, Q | V | GATE | UP, 33}}},
    {"all-linear",
     &mistral,
     TINY_F32,
     0.4,
     "{" LORA ", \"r\": 1, \"lora_alpha\": 1, \"target_modules\": \"all-linear\", "
     "\"exclude_modules\": [\"k_proj\", \"layers.0.mlp.up_proj\"]}",
     {{EVERY, ALL & ~(K | UP), 1}, {2, UP, 1}}},
    {"layers",
     &llama,
     TINY_F32,
     0.5,
     "{" LORA ", \"r\": 8, \"lora_alpha\": 8, \"layers_to_transform\": [0, 2], "
     "\"target_modules\": [\"q_proj\", \"o_proj\", \"gate_proj\"]}",
     {{1 | 4, Q | O | GATE, 8}}},
    {"layers-pattern",
     &llama,
     TINY_F32,
     0.3,
     "{" LORA ", \"r\": 9, \"lora_alpha\": 6, \"use_rslora\": true, \"layers_to_transform\": 1, "
     "\"layers_pattern\": \"layers\", \"target_modules\": [\"up_proj\", \"down_proj\"]}",
     {{2, UP | DOWN, 9}}},
    {"patterns",
     &llama,
     TINY_BF16,
     0.2,
     "{" LORA ", \"r\": 6, \"lora_alpha\": 12, \"target_modules\": " EVERY_LINEAR ", "
     "\"rank_pattern\": {\"q_proj\": 3, \"layers.1.mlp.*\": 17, "
     "\"^model.layers.2.self_attn.v_proj\": 33}, "
     "\"alpha_pattern\": {\"layers.0.self_attn.q_proj\": 7, \"mlp.(gate|up)_proj\": 20}}",
     {{EVERY, Q, 3},
      {2, GATE | UP | DOWN, 17},
      {4, V, 33},
      {1 | 2, V, 6},
      {EVERY, K | O, 6},
      {1 | 4, GATE | UP | DOWN, 6}}},
    {"head",
     &mistral,
     TINY_F32,
     0.5,
     "{" LORA ", \"r\": 7, \"lora_alpha\": 7, \"target_modules\": [\"lm_head\", \"v_proj\"]}",
     {{EVERY, V, 7}, {HEAD_ONLY, 0, 7}}},
    {"head-tied",
     &llama,
     TINY_F16,
     0.3,
     "{" LORA ", \"r\": 4, \"lora_alpha\": 4, \"use_rslora\": true, "
     "\"target_modules\": \".*lm_head\"}",
     {{HEAD_ONLY, 0, 4}}},
    {"gguf",
     &gguf,
     TINY_F32,
     0.3,
     "{" LORA ", \"r\": 16, \"lora_alpha\": 32, "
     "\"target_modules\": [\"q_proj\", \"k_proj\", \"v_proj\", \"o_proj\", \"down_proj\"]}",
     {{EVERY, ATTENTION | DOWN, 16}}},
    {"shards", &shards, TINY_F32, 0.3, newest, {{EVERY, ATTENTION, 16}}},
    /* the card's ranks and scale */
    {"smollm2-attention",
     &smollm2,
     TINY_F32,
     0.2,
     "{" LORA ", \"r\": 16, \"lora_alpha\": 32, \"lora_dropout\": 0.05, "
     "\"base_model_name_or_path\": \"HuggingFaceTB/SmolLM2-135M-Instruct\", "
     "\"task_type\": \"CAUSAL_LM\", "
     "\"target_modules\": [\"q_proj\", \"k_proj\", \"v_proj\", \"o_proj\"]}",
     {{EVERY, ATTENTION, 16}}},
    {"smollm2-all",
     &smollm2,
     TINY_BF16,
     0.15,
     "{" LORA ", \"r\": 8, \"lora_alpha\": 4, \"use_rslora\": true, "
     "\"base_model_name_or_path\": \"HuggingFaceTB/SmolLM2-135M-Instruct\", "
     "\"task_type\": \"CAUSAL_LM\", \"target_modules\": \"all-linear\"}",
     {{EVERY, ALL, 8}}},
};

enum { N_ADAPTERS = sizeof(adapters) / sizeof(adapters[0]) };

/* A and B of one linear layer; both matter, unlike those that training begins with. */
static void add_pair(struct tiny_model *m, const struct tiny_adapter *a, const char *path, int rank,
                     int in, int out)
{
    tiny_add(m, a->type, rank, in, tiny_gain(1, in), "base_model.model.%s.lora_A.weight", path);
    tiny_add(m, a->type, out, rank, tiny_gain(a->gain, rank), "base_model.model.%s.lora_B.weight",
             path);
}

static void add_linear(struct tiny_model *m, const struct tiny_adapter *a, int layer, int linear,
                       int rank)
{
    const struct tiny_shape *s = a->shape;
    const int q_dim = s->n_heads * s->head_dim, kv_dim = s->n_kv_heads * s->head_dim;
    const struct {
        int in, out;
    } sizes[N_LINEARS] = {{s->dim, q_dim},     {s->dim, kv_dim},     {s->dim, kv_dim},
                          {q_dim, s->dim},     {s->dim, s->ffn_dim}, {s->dim, s->ffn_dim},
                          {s->ffn_dim, s->dim}};
    char path[64];

    snprintf(path, sizeof(path), "model.layers.%d.%s", layer, linear_names[linear]);
    add_pair(m, a, path, rank, sizes[linear].in, sizes[linear].out);
}

static void add_part(struct tiny_model *m, const struct tiny_adapter *a, const struct part *part)
{
    if (part->layers == HEAD_ONLY)
        add_pair(m, a, "lm_head", part->rank, a->shape->dim, a->shape->vocab_size);
    for (int layer = 0; layer < a->shape->n_layers; layer++) {
        for (int linear = 0; linear < N_LINEARS; linear++) {
            if (part->layers >> layer & 1u && part->linears >> linear & 1u)
                add_linear(m, a, layer, linear, part->rank);
        }
    }
}

static void write_adapter(const char *dir, const struct tiny_adapter *a)
{
    struct tiny_model *m = memset(malloc(sizeof(*m)), 0, sizeof(*m));
    char path[4096];

    m->name = a->name;
    for (int i = 0; i < MAX_PARTS && a->parts[i].rank > 0; i++)
        add_part(m, a, &a->parts[i]);
    tiny_make_dir(dir, a->name, path, sizeof(path));
    tiny_write_text(path, "adapter_config.json", a->config);
    tiny_write_shard(path, "adapter_model.safetensors", m, 0, m->n_tensors);
    free(m);
}

/* As medrat-train writes one: by formats/peft_write.h, for the model llama-f32. */
static void write_as_trained(const char *dir)
{
    static const struct {
        const char *name, *path;
        size_t in, out;
    } linears[] = {{"v_proj", "self_attn.v_proj", 64, 64}, {"down_proj", "mlp.down_proj", 112, 64}};
    const char *targets[] = {linears[0].name, linears[1].name};
    struct peft_write_module modules[6];
    float *matrices[12];
    struct peft_write_adapter adapter = {.base_model = "tiny/llama-f32",
                                         .rank = 4,
                                         .alpha = 6.5,
                                         .dropout = 0.05,
                                         .rslora = true,
                                         .targets = targets,
                                         .n_targets = 2,
                                         .modules = modules,
                                         .n_modules = 6,
                                         .dtype = DTYPE_F16};
    struct tiny_model *m = memset(malloc(sizeof(*m)), 0, sizeof(*m));
    struct status status;
    char path[4096];
    size_t size;

    m->name = "as-trained";
    for (int i = 0; i < 6; i++) {
        struct peft_write_module *module = &modules[i];

        module->in = linears[i % 2].in;
        module->out = linears[i % 2].out;
        snprintf(module->path, sizeof(module->path), "model.layers.%d.%s", i / 2,
                 linears[i % 2].path);
        matrices[2 * i] = (float *)(void *)tiny_tensor_bytes(
            tiny_add(m, TINY_F32, 4, (int64_t)module->in, tiny_gain(1, (int)module->in), "%d A", i),
            &size);
        matrices[2 * i + 1] = (float *)(void *)tiny_tensor_bytes(
            tiny_add(m, TINY_F32, (int64_t)module->out, 4, tiny_gain(0.5, 4), "%d B", i), &size);
        module->a = matrices[2 * i];
        module->b = matrices[2 * i + 1];
    }
    tiny_make_dir(dir, m->name, path, sizeof(path));
    if (!peft_write(path, &adapter, &status)) {
        fprintf(stderr, "%s\n", status.message);
        exit(1);
    }
    for (int i = 0; i < 12; i++)
        free(matrices[i]);
    free(m);
}

void tiny_write_adapters(const char *dir)
{
    for (int i = 0; i < N_ADAPTERS; i++) {
        if (adapters[i].shape != &smollm2)
            write_adapter(dir, &adapters[i]);
    }
    write_as_trained(dir);
}

void tiny_write_smollm2_adapters(const char *dir)
{
    for (int i = 0; i < N_ADAPTERS; i++) {
        if (adapters[i].shape == &smollm2)
            write_adapter(dir, &adapters[i]);
    }
}
