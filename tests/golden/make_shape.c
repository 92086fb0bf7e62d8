/* make_shape OUT [KEY=VALUE]...: a Mistral of any shape with the same weights every time, as a
 * folder, as the hub's cache lays one out below OUT, or as a GGUF file that llama.cpp loads too.
 *
 *   form=folder|hub|gguf     type=F32|F16|BF16, of GGUF also Q8_0|Q4_0|Q4_1 and the mixtures
 *                            Q4_K_M|Q5_K_M|Q6_K, tensor by tensor as llama-quantize chooses
 *   through=MIXTURE          weights are first rounded as that mixture rounds them
 *   dim= layers= heads= kv_heads= head_dim= ffn= vocab= context=     Mistral-7B's unless given
 *   shard=BYTES              of a folder's parts at most (4900000000)
 *   tokenizer=FILE           a SentencePiece model of at most vocab pieces; none: a folder without
 *
 * In C because tests, which use no Python, make their models when they run. A tensor is in memory
 * at a time. Weights of one shape are the same in every form, before they are rounded. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mapped_file.h"
#include "base/memory.h"
#include "base/number.h"
#include "tests/golden/tiny.h"

#define REPOSITORY "models--mistralai--Mistral-7B-Instruct-v0.3"
#define REVISION "c170c708c41dac9275d15a8fff4eca08d52bab71"

/* Of a linear layer; values are drawn at some 10^7 a second, a disk takes more. */
enum { FRESH_ROWS = 251 };

static struct tiny_shape shape = {4096, 32, 32, 8, 128, 14336, 32768, 32768};
static uint64_t shard_bytes = 4900000000;
static const char *form = "folder", *type_wanted = "BF16", *tokenizer;
static const char *through;
static enum tiny_type type, mixture; /* mixture: what most tensors of one are; TINY_NONE: none */

_Noreturn static void die(const char *what, const char *why)
{
    fprintf(stderr, "make_shape: %s: %s\n", what, why);
    exit(64);
}

static void set(const char *argument)
{
    const struct {
        const char *key;
        int *value;
    } sizes[] = {
        {"dim=", &shape.dim},           {"layers=", &shape.n_layers},
        {"heads=", &shape.n_heads},     {"kv_heads=", &shape.n_kv_heads},
        {"head_dim=", &shape.head_dim}, {"ffn=", &shape.ffn_dim},
        {"vocab=", &shape.vocab_size},  {"context=", &shape.max_seq_len},
    };
    const struct {
        const char *key;
        const char **value;
    } texts[] = {{"form=", &form},
                 {"type=", &type_wanted},
                 {"tokenizer=", &tokenizer},
                 {"through=", &through}};
    const char *value = strchr(argument, '=');
    uint64_t n = 0;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strncmp(argument, texts[i].key, strlen(texts[i].key)) == 0) {
            *texts[i].value = value + 1;
            return;
        }
    }
    if (!value || !number_uint64(value + 1, &n) || n == 0)
        die(argument, "no number");
    if (strncmp(argument, "shard=", 6) == 0) {
        shard_bytes = n;
        return;
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (strncmp(argument, sizes[i].key, strlen(sizes[i].key)) == 0 && n < INT_MAX) {
            *sizes[i].value = (int)n;
            return;
        }
    }
    die(argument, "not known");
}

static enum tiny_type mixture_of(const char *name)
{
    return strcmp(name, "Q4_K_M") == 0   ? TINY_Q4_K
           : strcmp(name, "Q5_K_M") == 0 ? TINY_Q5_K
           : strcmp(name, "Q6_K") == 0   ? TINY_Q6_K
                                         : TINY_NONE;
}

static void set_type(bool gguf)
{
    static const enum tiny_type types[] = {TINY_F32,  TINY_F16,  TINY_BF16,
                                           TINY_Q8_0, TINY_Q4_0, TINY_Q4_1};

    mixture = mixture_of(through ? through : gguf ? type_wanted : "");
    if (through && mixture == TINY_NONE)
        die(through, "no mixture");
    type = through ? TINY_NONE : mixture;
    for (size_t i = 0; i < (gguf ? 6 : 3); i++) {
        if (strcmp(type_wanted, tiny_type_name(types[i])) == 0)
            type = types[i];
    }
    if (type == TINY_NONE)
        die(type_wanted, "no type of this form");
}

/* Layers whose values and down projections llama.cpp's Q4_K_M and Q5_K_M keep in six bits. */
static bool has_more_bits(int layer, int n)
{
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
}

static bool ends_with(const char *name, const char *end)
{
    return strlen(name) >= strlen(end) && strcmp(name + strlen(name) - strlen(end), end) == 0;
}

/* A matrix's, by either name that it has. */
static enum tiny_type type_in_mixture(const char *name)
{
    const bool more = ends_with(name, ".attn_v.weight") || ends_with(name, ".ffn_down.weight") ||
                      ends_with(name, ".v_proj.weight") || ends_with(name, ".down_proj.weight");
    const char *number = strpbrk(name, "0123456789");

    if (strcmp(name, "output.weight") == 0 || strcmp(name, "lm_head.weight") == 0 ||
        (more && has_more_bits(atoi(number), shape.n_layers)))
        return TINY_Q6_K;
    return mixture;
}

static void mix_types(struct tiny_model *m)
{
    for (int i = 0; i < m->n_tensors; i++) {
        struct tiny_tensor *t = &m->tensors[i];

        if (t->n_dims == 2)
            *(through ? &t->through : &t->type) = type_in_mixture(t->name);
    }
}

static struct tiny_model *make_model(enum tiny_naming naming)
{
    struct tiny_model *m = memory_zeroed(1, sizeof(*m));
    const enum tiny_type norm = naming == TINY_GGUF ? TINY_F32 : type;
    uint64_t embed_key = 0;

    m->name = "shape";
    m->rope_theta = 1e6f;
    m->sentencepiece = tokenizer;
    tiny_add_decoder(m, naming, type, type, norm, type, &shape);
    for (int i = 0; i < m->n_tensors; i++) {
        struct tiny_tensor *t = &m->tensors[i];
        const uint64_t number = (uint64_t)i;

        t->n_fresh = t->shape[0] == shape.vocab_size ? shape.vocab_size : FRESH_ROWS;
        t->key = hash64(&number, sizeof(number)); /* whatever the form calls it */
        if (t->shape[0] == shape.vocab_size && embed_key == 0)
            embed_key = t->key;
        if (t->planted_key)
            t->planted_key = embed_key;
    }
    if (mixture != TINY_NONE)
        mix_types(m);
    for (int i = 0; i < m->n_tensors && (type == TINY_F16 || type == TINY_BF16); i++) {
        if (m->tensors[i].n_dims == 1) /* a converter takes norms from a file of 16 bits */
            m->tensors[i].through = type;
    }
    return m;
}

static void write_config(const char *dir)
{
    struct buf config = {0};
    const char *dtype = type == TINY_F32 ? "float32" : type == TINY_F16 ? "float16" : "bfloat16";

    buf_printf(&config,
               "{\n  \"architectures\": [\"MistralForCausalLM\"],\n"
               "  \"attention_dropout\": 0.0,\n  \"bos_token_id\": 1,\n  \"eos_token_id\": 2,\n"
               "  \"head_dim\": %d,\n  \"hidden_act\": \"silu\",\n  \"hidden_size\": %d,\n"
               "  \"initializer_range\": 0.02,\n  \"intermediate_size\": %d,\n"
               "  \"max_position_embeddings\": %d,\n  \"model_type\": \"mistral\",\n"
               "  \"num_attention_heads\": %d,\n  \"num_hidden_layers\": %d,\n"
               "  \"num_key_value_heads\": %d,\n  \"rms_norm_eps\": 1e-05,\n"
               "  \"rope_theta\": 1000000.0,\n  \"sliding_window\": null,\n"
               "  \"tie_word_embeddings\": false,\n  \"torch_dtype\": \"%s\",\n"
               "  \"transformers_version\": \"4.42.0.dev0\",\n  \"use_cache\": true,\n"
               "  \"vocab_size\": %d\n}\n",
               shape.head_dim, shape.dim, shape.ffn_dim, shape.max_seq_len, shape.n_heads,
               shape.n_layers, shape.n_kv_heads, dtype, shape.vocab_size);
    tiny_write_text(dir, "config.json", config.data);
    buf_release(&config);
}

/* Ends of the shards: as many tensors as fit, one at the least. */
static int end_of_shard(const struct tiny_model *m, int first)
{
    uint64_t size = tiny_tensor_size(&m->tensors[first]);
    int end = first + 1;

    while (end < m->n_tensors && size + tiny_tensor_size(&m->tensors[end]) <= shard_bytes)
        size += tiny_tensor_size(&m->tensors[end++]);
    return end;
}

static void write_shards(const char *dir, const struct tiny_model *m)
{
    struct buf index = {0};
    int n_shards = 0, shard = 0;
    uint64_t total = 0;

    for (int i = 0; i < m->n_tensors; i = end_of_shard(m, i))
        n_shards++;
    for (int i = 0; i < m->n_tensors; i++)
        total += tiny_tensor_size(&m->tensors[i]);
    buf_printf(&index, "{\n  \"metadata\": {\"total_size\": %llu},\n  \"weight_map\": {",
               (unsigned long long)total);
    for (int first = 0, end; first < m->n_tensors; first = end) {
        char name[64];

        end = end_of_shard(m, first);
        snprintf(name, sizeof(name), "model-%05d-of-%05d.safetensors", ++shard, n_shards);
        tiny_write_shard(dir, name, m, first, end);
        for (int i = first; i < end; i++)
            buf_printf(&index, "%s\n    \"%s\": \"%s\"", i ? "," : "", m->tensors[i].name, name);
    }
    buf_append_string(&index, "\n  }\n}\n");
    tiny_write_text(dir, "model.safetensors.index.json", index.data);
    buf_release(&index);
}

static void copy_tokenizer(const char *dir)
{
    struct mapped_file file;
    struct status status;
    struct buf path = {0};
    FILE *out;

    if (!mapped_file_open(&file, tokenizer, &status))
        die(tokenizer, status.message);
    buf_printf(&path, "%s/tokenizer.model", dir);
    out = fopen(path.data, "wb");
    if (!out || fwrite(file.data, 1, file.size, out) != file.size || fclose(out) != 0)
        die(path.data, strerror(errno));
    buf_release(&path);
    mapped_file_close(&file);
}

static void write_folder(const char *dir)
{
    struct tiny_model *m = make_model(TINY_HF);

    write_config(dir);
    tiny_write_text(dir, "generation_config.json",
                    "{\n  \"bos_token_id\": 1,\n  \"eos_token_id\": 2\n}\n");
    if (tokenizer)
        copy_tokenizer(dir);
    write_shards(dir, m);
    free(m);
}

/* The cache's names of contents are hashes of them; here it is one of the name. */
static void move_to_blobs(const char *snapshot, const char *blobs, const char *name)
{
    struct buf from = {0}, to = {0}, target = {0};
    struct stat info;
    uint64_t h = hash64(name, strlen(name));

    buf_printf(&from, "%s/%s", snapshot, name);
    buf_append_string(&target, "../../blobs/");
    for (int i = 0; i < 4; i++, h = hash_mix(h + 1))
        buf_printf(&target, "%016llx", (unsigned long long)h);
    buf_printf(&to, "%s/%s", blobs, strrchr(target.data, '/') + 1);
    if (stat(from.data, &info) == 0 &&
        (rename(from.data, to.data) != 0 || symlink(target.data, from.data) != 0))
        die(from.data, strerror(errno));
    buf_release(&from);
    buf_release(&to);
    buf_release(&target);
}

static void write_hub(const char *cache)
{
    static const char *const names[] = {"config.json", "generation_config.json", "tokenizer.model",
                                        "model.safetensors.index.json"};
    char repository[4096], path[4096], snapshot[4096], blobs[4096];
    struct tiny_model *m = make_model(TINY_HF);
    int n_shards = 0;

    tiny_make_dir(cache, REPOSITORY, repository, sizeof(repository));
    tiny_make_dir(repository, "refs", path, sizeof(path));
    tiny_write_text(path, "main", REVISION);
    tiny_make_dir(repository, "blobs", blobs, sizeof(blobs));
    tiny_make_dir(repository, "snapshots", path, sizeof(path));
    tiny_make_dir(path, REVISION, snapshot, sizeof(snapshot));
    write_folder(snapshot);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        move_to_blobs(snapshot, blobs, names[i]);
    for (int i = 0; i < m->n_tensors; i = end_of_shard(m, i))
        n_shards++;
    for (int i = 1; i <= n_shards; i++) {
        snprintf(path, sizeof(path), "model-%05d-of-%05d.safetensors", i, n_shards);
        move_to_blobs(snapshot, blobs, path);
    }
    free(m);
}

static void write_gguf(const char *path)
{
    struct tiny_model *m = make_model(TINY_GGUF);

    tiny_write_gguf(path, m, &shape);
    free(m);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        die("usage", "make_shape OUT [KEY=VALUE]...");
    for (int i = 2; i < argc; i++)
        set(argv[i]);
    set_type(strcmp(form, "gguf") == 0);
    if (strcmp(form, "gguf") == 0) {
        write_gguf(argv[1]);
        return 0;
    }
    if (mkdir(argv[1], 0777) != 0 && errno != EEXIST)
        die(argv[1], strerror(errno));
    if (strcmp(form, "folder") == 0)
        write_folder(argv[1]);
    else if (strcmp(form, "hub") == 0)
        write_hub(argv[1]);
    else
        die(form, "not a form");
    return 0;
}
