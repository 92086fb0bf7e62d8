/* Small models with real structure, written from fixed seeds: the same bytes on every machine.
 *
 * Tests build them when they run, tests/golden/losses.py and embeddings.py read the very same
 * files, and the golden files carry tiny_hash() of each, so a golden value can't belong to another
 * model than the one at hand. No tensor is all noise: attention is peaked, residual updates are as
 * large as the stream, and where the head is not tied a planted bigram makes logits uneven, so
 * that a wrong rotation, mask or row order moves a loss by tenths of a nat.
 *
 *   mistral-f32/ mistral-f16/ mistral-bf16/   grouped queries, head_dim beside dim / heads, untied
 *   llama-f32/                                tied, config.json as transformers 5 spells it
 *   bert-f32/ bert-{cls-bf16,max-f16,unpooled}/  sentence-transformers folders with a vocab.txt
 *   bert-plain/                               a BertModel alone
 *   cross-f32/ cross-3-bf16/                  BertForSequenceClassification of 1 and 3 labels
 *   llama-{f32,f16,q8_0,q4_0,q4_1}.gguf       byte-level BPE inside; f16 has its own output tensor
 *   mistral-window/                           F16, one kv head, a window of 40 tokens
 *   mistral-shards/                           BF16 in three files, a window of 100
 *   llama-linear/ llama-linear-v2.gguf        linear scaling, MLP biases; GGUF version 2
 *   llama-3/ llama-3.gguf                     Llama 3's scaling (rope_freqs.weight), attention
 * biases
 */
#ifndef GOLDEN_TINY_H
#define GOLDEN_TINY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum tiny_type {
    TINY_NONE,
    TINY_F32,
    TINY_F16,
    TINY_BF16,
    TINY_Q8_0,
    TINY_Q4_0,
    TINY_Q4_1,
    TINY_Q4_K,
    TINY_Q5_K,
    TINY_Q6_K,
    TINY_I64
};

enum { TINY_MAX_DIMS = 2, TINY_MAX_TENSORS = 448 };

/* Values are scale * (about normal, unit variance) + offset, a function of key and index alone. */
struct tiny_tensor {
    char name[96];
    enum tiny_type type;
    enum tiny_type
        through; /* not TINY_NONE: values are first rounded to this type (F16, BF16, K) */
    int n_dims;
    int64_t shape[TINY_MAX_DIMS]; /* outermost first; [1] is 1 for a vector */
    uint64_t key;
    double scale, offset;
    uint64_t planted_key; /* not 0: row r also gets planted_scale * row plant(r) of that key */
    double planted_scale;
    int interleaved_heads; /* not 0: rows are written in GGUF's order for so many heads */
    const float *values;   /* not NULL: of a vector, these instead */
    int n_fresh;           /* not 0: uniform instead of about normal, and rows repeat after so many:
                              made at the speed of a disk */
};

struct tiny_model {
    const char *name; /* the seed of every tensor too */
    struct tiny_tensor tensors[TINY_MAX_TENSORS];
    int n_tensors;
    int gguf_version;          /* 0: 3 */
    float linear_factor;       /* of a GGUF file's positions; 0: none */
    float rope_theta;          /* of a GGUF file; 0: 100000 */
    const char *sentencepiece; /* the tokenizer of a GGUF file, as llama.cpp converts it; NULL: a
                                  small one of our own */
};

/* tiny_values.c: one more tensor of a model, its name by format; cols 0: a vector of `rows` values.
 */
struct tiny_tensor *tiny_add(struct tiny_model *model, enum tiny_type type, int64_t rows,
                             int64_t cols, double scale, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* The scale of a weight with so many inputs: unit gain keeps the variance of what goes through. */
double tiny_gain(double gain, int n_inputs);

/* tiny_values.c: the bytes of a tensor; the caller frees. Ends the program when out of memory. */
uint8_t *tiny_tensor_bytes(const struct tiny_tensor *tensor, size_t *size);
size_t tiny_tensor_size(const struct tiny_tensor *tensor);
uint16_t tiny_f16(float x); /* nearest, ties to even; |x| below f16's largest */
const char *tiny_type_name(enum tiny_type type); /* as safetensors spells it */
uint32_t tiny_type_gguf(enum tiny_type type);    /* ggml's number */

/* tiny_k_blocks.c: 256 values to a block of 144, 176 or 210 bytes, each part rounded for itself. */
void tiny_put_q4_k(const float *x, uint8_t *out);
void tiny_put_q5_k(const float *x, uint8_t *out);
void tiny_put_q6_k(const float *x, uint8_t *out);

/* tiny_files.c: files below `dir`; a failure prints why and ends the program. */
void tiny_write_text(const char *dir, const char *name, const char *text);
void tiny_write_safetensors(const char *dir, const struct tiny_model *model);
/* Tensors [first, end) in a file of that name; returns their bytes. */
size_t tiny_write_shard(const char *dir, const char *name, const struct tiny_model *model,
                        int first, int end);
void tiny_make_dir(const char *dir, const char *name, char *path, size_t path_size);

/* tiny_gguf.c; tensors are made and written one after the other */
struct tiny_shape {
    int dim, n_layers, n_heads, n_kv_heads, head_dim, ffn_dim, vocab_size, max_seq_len;
};
void tiny_write_gguf(const char *path, const struct tiny_model *model,
                     const struct tiny_shape *shape);
int tiny_gguf_vocab_size(void);

/* tiny_gguf_values.c: keys with values, behind each other. */
struct tiny_gguf_values {
    struct buf *out;
    uint64_t n;
};
enum tiny_gguf_type {
    TINY_VALUE_U32 = 4,
    TINY_VALUE_I32,
    TINY_VALUE_F32,
    TINY_VALUE_BOOL,
    TINY_VALUE_STRING
};
void tiny_put_le(struct buf *out, uint64_t value, int n_bytes);
void tiny_put_string(struct buf *out, const char *bytes, size_t len);
void tiny_put_u32(struct tiny_gguf_values *v, const char *key, int value);
void tiny_put_f32(struct tiny_gguf_values *v, const char *key, float value);
void tiny_put_bool(struct tiny_gguf_values *v, const char *key, bool value);
void tiny_put_text(struct tiny_gguf_values *v, const char *key, const char *value);
/* The head of an array; its n elements follow. */
void tiny_put_array(struct tiny_gguf_values *v, const char *key, enum tiny_gguf_type type, int n);
/* The tokenizer of a SentencePiece file, of at most n_tokens pieces, filled up to so many. */
void tiny_put_sentencepiece(struct tiny_gguf_values *v, const char *path, int n_tokens);

/* tiny_models.c: all tensors of a Llama or a Mistral. head_type TINY_NONE: tied; embed_type may
 * differ from the linears', as in real GGUF files. */
enum tiny_naming { TINY_HF, TINY_GGUF };
void tiny_add_decoder(struct tiny_model *model, enum tiny_naming naming, enum tiny_type embed_type,
                      enum tiny_type type, enum tiny_type norm_type, enum tiny_type head_type,
                      const struct tiny_shape *shape);

/* tiny_variants.c */
void tiny_write_variants(const char *dir);

/* tiny_bert.c */
void tiny_write_berts(const char *dir);

/* tiny_adapters.c: LoRA adapters as PEFT saves them, folders below `dir`: for mistral-*
 * `attention`, `least`, `suffixes`, `regex`, `all-linear` and `head`, and `shards`; for llama-f32
 * `old`, `layers`, `layers-pattern`, `patterns`, `head-tied` and `as-trained`; for llama-*.gguf
 * `gguf`. Each moves the losses by tenths of a nat. */
void tiny_write_adapters(const char *dir);
/* The same for SmolLM2: smollm2-attention (with the card's rank and scale) and smollm2-all. */
void tiny_write_smollm2_adapters(const char *dir);

/* tiny_models.c: every model above, into `dir`, which must exist. */
void tiny_write_all(const char *dir);

/* hash64 over the bytes of a model: a .gguf file, or of a folder config.json and model.safetensors
 * (or its index and the files model-0...) one after the other; of an adapter adapter_config.json
 * and adapter_model.safetensors. */
uint64_t tiny_hash(const char *path);

#endif
