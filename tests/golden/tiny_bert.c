/* The BERTs among the small models: encoders of every pooling, and cross-encoders. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "tests/golden/tiny.h"

struct file {
    const char *name, *text;
};

enum { MAX_FILES = 6 };

/* What tells one folder from another; `files` lie beside config.json, weights and vocab.txt. */
struct variant {
    const char *folder;
    const char *name; /* the seed of its tensors */
    enum tiny_type type;
    bool prefixed; /* tensors of the encoder begin with "bert." */
    bool old;      /* LayerNorm.gamma and .beta */
    bool spelling_5;
    const char *activation;
    int n_labels, model_max_length;
    struct file files[MAX_FILES];
};

#define MODULE(i, path, type)                                                                      \
    "  {\"idx\": " #i ", \"name\": \"" #i "\", \"path\": \"" path                                  \
    "\", \"type\": \"sentence_transformers." type "\"}"
#define TRANSFORMER_5 MODULE(0, "", "models.Transformer")
#define TRANSFORMER_6 MODULE(0, "", "base.modules.transformer.Transformer")
#define POOLING_5 ",\n" MODULE(1, "1_Pooling", "models.Pooling")
#define POOLING_6 ",\n" MODULE(1, "1_Pooling", "sentence_transformer.modules.pooling.Pooling")

#define FLAGS(cls, mean)                                                                           \
    "{\n  \"word_embedding_dimension\": 48,\n"                                                     \
    "  \"pooling_mode_cls_token\": " cls ",\n"                                                     \
    "  \"pooling_mode_mean_tokens\": " mean ",\n"                                                  \
    "  \"pooling_mode_max_tokens\": false,\n"                                                      \
    "  \"pooling_mode_mean_sqrt_len_tokens\": false"

#define TASK(task, method_output, output)                                                          \
    "{\n  \"transformer_task\": \"" task "\",\n  \"modality_config\": {\"text\":"                  \
    " {\"method\": \"forward\", \"method_output_name\": \"" method_output                          \
    "\"}},\n  \"module_output_name\": \"" output "\"\n}\n"

static const struct variant variants[] = {
    {
        .folder = "bert-f32",
        .name = "bert",
        .type = TINY_F32,
        .activation = "gelu",
        .model_max_length = 64,
        .files = {{"modules.json", "[\n" TRANSFORMER_5 POOLING_5
                                   ",\n" MODULE(2, "2_Normalize", "models.Normalize") "\n]\n"},
                  {"1_Pooling/config.json", FLAGS("false", "true") "\n}\n"},
                  {"sentence_bert_config.json",
                   "{\n  \"max_seq_length\": 40,\n  \"do_lower_case\": false\n}\n"}},
    },
    {
        .folder = "bert-cls-bf16",
        .name = "bert-cls",
        .type = TINY_BF16,
        .prefixed = true,
        .old = true,
        .activation = "gelu_new",
        .model_max_length = 64,
        .files = {{"modules.json", "[\n" TRANSFORMER_5 POOLING_5 "\n]\n"},
                  {"1_Pooling/config.json", FLAGS("true", "false") "\n}\n"},
                  {"sentence_bert_config.json",
                   "{\n  \"max_seq_length\": 40,\n  \"do_lower_case\": false\n}\n"},
                  {"config_sentence_transformers.json",
                   "{\n  \"prompts\": {\"query\": \"what is the \", \"document\": \"patient:\"},\n"
                   "  \"default_prompt_name\": null,\n  \"similarity_fn_name\": \"dot\"\n}\n"}},
    },
    {
        .folder = "bert-max-f16",
        .name = "bert-max",
        .type = TINY_F16,
        .spelling_5 = true,
        .activation = "relu",
        .model_max_length = 44,
        .files = {{"modules.json",
                   "[\n" TRANSFORMER_6 POOLING_6
                   ",\n" MODULE(2, "2_Normalize", "base.modules.normalize.Normalize") "\n]\n"},
                  {"1_Pooling/config.json",
                   "{\n  \"embedding_dimension\": 48,\n  \"pooling_mode\": \"max\",\n"
                   "  \"include_prompt\": false\n}\n"},
                  {"2_Normalize/config.json",
                   "{\n  \"module_input_name\": \"sentence_embedding\",\n"
                   "  \"module_output_name\": \"sentence_embedding\"\n}\n"},
                  {"sentence_bert_config.json",
                   TASK("feature-extraction", "last_hidden_state", "token_embeddings")},
                  {"config_sentence_transformers.json",
                   "{\n  \"model_type\": \"SentenceTransformer\",\n  \"prompts\": {\n"
                   "    \"query\": \"query: \",\n    \"document\": \"\"\n  },\n"
                   "  \"default_prompt_name\": \"query\",\n"
                   "  \"similarity_fn_name\": \"cosine\"\n}\n"}},
    },
    {
        .folder = "bert-unpooled",
        .name = "bert-unpooled",
        .type = TINY_F32,
        .prefixed = true,
        .spelling_5 = true,
        .activation = "gelu",
        .model_max_length = 64,
        .files =
            {{"modules.json", "[\n" TRANSFORMER_5 POOLING_5 "\n]\n"},
             {"1_Pooling/config.json",
              FLAGS("false", "true") ",\n  \"include_prompt\": false\n}\n"},
             {"config_sentence_transformers.json",
              "{\n  \"prompts\": {\"query\": \"treat the patient\", \"document\": \"drug: \"}\n"
              "}\n"}},
    },
    {
        .folder = "bert-plain",
        .name = "bert-plain",
        .type = TINY_F32,
        .spelling_5 = true,
        .activation = "gelu_pytorch_tanh",
        .model_max_length = 50,
    },
    {
        .folder = "cross-f32",
        .name = "cross",
        .type = TINY_F32,
        .prefixed = true,
        .activation = "gelu",
        .n_labels = 1,
        .model_max_length = 50,
    },
    {
        .folder = "cross-3-bf16",
        .name = "cross-3",
        .type = TINY_BF16,
        .prefixed = true,
        .spelling_5 = true,
        .activation = "gelu_new",
        .n_labels = 3,
        .model_max_length = 512, /* more than it has positions */
        .files = {{"modules.json", "[\n" TRANSFORMER_6 "\n]\n"},
                  {"sentence_bert_config.json",
                   TASK("sequence-classification", "logits", "scores")},
                  {"config_sentence_transformers.json",
                   "{\n  \"activation_fn\": \"torch.nn.modules.linear.Identity\",\n"
                   "  \"default_prompt_name\": \"find\",\n  \"model_type\": \"CrossEncoder\",\n"
                   "  \"prompts\": {\"find\": \"what is \", \"other\": \"a\"}\n}\n"}},
    },
};

/* ---- tensors ----------------------------------------------------------------------------- */

struct writer {
    struct tiny_model *model;
    const struct variant *variant;
    const struct tiny_shape *shape;
};

static void add_linear(const struct writer *w, int out, int in, double g, const char *name)
{
    tiny_add(w->model, w->variant->type, out, in, tiny_gain(g, in), "%s.weight", name);
    tiny_add(w->model, w->variant->type, out, 0, 0.2, "%s.bias", name);
}

static void add_norm(const struct writer *w, const char *name)
{
    const char *const weight = w->variant->old ? "gamma" : "weight";
    const char *const bias = w->variant->old ? "beta" : "bias";
    const int dim = w->shape->dim;

    tiny_add(w->model, w->variant->type, dim, 0, 0.25, "%s.%s", name, weight)->offset = 1;
    tiny_add(w->model, w->variant->type, dim, 0, 0.1, "%s.%s", name, bias);
}

static void add_layer(const struct writer *w, const char *prefix, int layer)
{
    static const char *const linears[] = {"attention.self.query", "attention.self.key",
                                          "attention.self.value", "attention.output.dense"};
    const struct tiny_shape *s = w->shape;
    char name[64];

    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "%sencoder.layer.%d.%s", prefix, layer, linears[i]);
        add_linear(w, s->dim, s->dim, i < 2 ? 1.4 : 1, name);
    }
    snprintf(name, sizeof(name), "%sencoder.layer.%d.attention.output.LayerNorm", prefix, layer);
    add_norm(w, name);
    snprintf(name, sizeof(name), "%sencoder.layer.%d.intermediate.dense", prefix, layer);
    add_linear(w, s->ffn_dim, s->dim, 1.2, name);
    snprintf(name, sizeof(name), "%sencoder.layer.%d.output.dense", prefix, layer);
    add_linear(w, s->dim, s->ffn_dim, 1.2, name);
    snprintf(name, sizeof(name), "%sencoder.layer.%d.output.LayerNorm", prefix, layer);
    add_norm(w, name);
}

static void add_tensors(const struct writer *w)
{
    const char *const prefix = w->variant->prefixed ? "bert." : "";
    const enum tiny_type type = w->variant->type;
    const struct tiny_shape *s = w->shape;
    struct tiny_model *m = w->model;
    char name[64];

    /* Old checkpoints carry this one; a reader has to step over it. */
    if (!w->variant->spelling_5)
        tiny_add(m, TINY_I64, 1, s->max_seq_len, 0, "%sembeddings.position_ids", prefix);
    tiny_add(m, type, s->vocab_size, s->dim, 1, "%sembeddings.word_embeddings.weight", prefix);
    tiny_add(m, type, s->max_seq_len, s->dim, 0.5, "%sembeddings.position_embeddings.weight",
             prefix);
    tiny_add(m, type, 2, s->dim, 0.5, "%sembeddings.token_type_embeddings.weight", prefix);
    snprintf(name, sizeof(name), "%sembeddings.LayerNorm", prefix);
    add_norm(w, name);
    for (int layer = 0; layer < s->n_layers; layer++)
        add_layer(w, prefix, layer);
    snprintf(name, sizeof(name), "%spooler.dense", prefix);
    add_linear(w, s->dim, s->dim, 1, name);
    if (w->variant->n_labels > 0)
        add_linear(w, w->variant->n_labels, s->dim, 2, "classifier");
}

/* ---- files ------------------------------------------------------------------------------- */

static int bert_vocabulary(struct buf *out)
{
    static const char *const words[] = {
        "[PAD]",        "[UNK]",    "[CLS]",     "[SEP]", "[MASK]", "the",      "of",
        "and",          "a",        "in",        "to",    "is",     "blood",    "pressure",
        "heart",        "fever",    "##ing",     "##ed",  "##es",   "##er",     "##tion",
        "##itis",       "hyper",    "##tension", "pain",  "acute",  "dose",     "cardio",
        "##my",         "##opathy", "what",      "treat", "##ment", "risk",     "with",
        "for",          "patient",  "drug",      "##ol",  "##in",   "\xCE\xB2", "\xE8\xA1\x80",
        "\xE5\xBF\x83",
    };
    static const char punctuation[] = ".,;:!?()[]/-+%'\"";
    int n = 0;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++, n++)
        buf_printf(out, "%s\n", words[i]);
    for (size_t i = 0; i < sizeof(punctuation) - 1; i++, n++)
        buf_printf(out, "%c\n", punctuation[i]);
    for (int i = 0; i < 10; i++, n += 2)
        buf_printf(out, "%d\n##%d\n", i, i);
    for (char c = 'b'; c <= 'z'; c++, n += 2) /* 'a' is a word above, and '##a' is absent */
        buf_printf(out, "%c\n##%c\n", c, c);
    return n;
}

/* id2label, which says how many labels there are */
static void write_labels(struct buf *out, int n)
{
    if (n == 0)
        return;
    buf_append_string(out, "  \"id2label\": {");
    for (int i = 0; i < n; i++)
        buf_printf(out, "%s\"%d\": \"LABEL_%d\"", i ? ", " : "", i, i);
    buf_append_string(out, "},\n");
}

static void write_config(const char *path, const struct variant *v, const struct tiny_shape *s)
{
    struct buf out = {0};

    buf_printf(&out, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"bert\",\n",
               v->n_labels ? "BertForSequenceClassification" : "BertModel");
    if (v->spelling_5)
        buf_printf(&out,
                   "  \"add_cross_attention\": false,\n  \"bos_token_id\": null,\n"
                   "  \"classifier_dropout\": null,\n  \"dtype\": \"%s\",\n"
                   "  \"is_decoder\": false,\n  \"tie_word_embeddings\": true,\n",
                   v->type == TINY_F16    ? "float16"
                   : v->type == TINY_BF16 ? "bfloat16"
                                          : "float32");
    write_labels(&out, v->n_labels);
    buf_append_string(&out, "  \"attention_probs_dropout_prob\": 0.1,\n"
                            "  \"hidden_dropout_prob\": 0.1,\n");
    if (!v->spelling_5)
        buf_append_string(&out, "  \"gradient_checkpointing\": false,\n");
    buf_printf(&out,
               "  \"hidden_act\": \"%s\",\n"
               "  \"hidden_size\": %d,\n  \"initializer_range\": 0.02,\n"
               "  \"intermediate_size\": %d,\n  \"layer_norm_eps\": 1e-12,\n"
               "  \"max_position_embeddings\": %d,\n  \"num_attention_heads\": %d,\n"
               "  \"num_hidden_layers\": %d,\n  \"pad_token_id\": 0,\n",
               v->activation, s->dim, s->ffn_dim, s->max_seq_len, s->n_heads, s->n_layers);
    if (!v->spelling_5)
        buf_append_string(&out, "  \"position_embedding_type\": \"absolute\",\n");
    buf_printf(&out,
               "  \"transformers_version\": \"%s\",\n  \"type_vocab_size\": 2,\n"
               "  \"use_cache\": true,\n  \"vocab_size\": %d\n}\n",
               v->spelling_5 ? "5.2.0" : "4.8.2", s->vocab_size);
    tiny_write_text(path, "config.json", out.data);
    buf_release(&out);
}

static void write_tokenizer(const char *path, const char *vocabulary, int model_max_length)
{
    struct buf out = {0};

    tiny_write_text(path, "vocab.txt", vocabulary);
    buf_printf(&out,
               "{\"do_lower_case\": true, \"unk_token\": \"[UNK]\", \"sep_token\": \"[SEP]\","
               " \"pad_token\": \"[PAD]\", \"cls_token\": \"[CLS]\","
               " \"mask_token\": \"[MASK]\", \"tokenize_chinese_chars\": true,"
               " \"strip_accents\": null, \"model_max_length\": %d,"
               " \"tokenizer_class\": \"BertTokenizer\"}\n",
               model_max_length);
    tiny_write_text(path, "tokenizer_config.json", out.data);
    buf_release(&out);
}

/* "1_Pooling/config.json" below path, with its folder. */
static void write_file(const char *path, const struct file *file)
{
    const char *slash = strchr(file->name, '/');
    char folder[64], below[4096];

    if (!slash) {
        tiny_write_text(path, file->name, file->text);
        return;
    }
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - file->name), file->name);
    tiny_make_dir(path, folder, below, sizeof(below));
    tiny_write_text(below, slash + 1, file->text);
}

static void write_variant(const char *dir, const struct variant *v)
{
    struct tiny_shape s = {48, 2, 3, 3, 16, 90, 0, 64};
    struct tiny_model *m = memset(malloc(sizeof(*m)), 0, sizeof(*m));
    struct buf vocabulary = {0};
    char path[4096];

    m->name = v->name;
    s.vocab_size = bert_vocabulary(&vocabulary);
    add_tensors(&(struct writer){m, v, &s});
    tiny_make_dir(dir, v->folder, path, sizeof(path));
    write_config(path, v, &s);
    write_tokenizer(path, vocabulary.data, v->model_max_length);
    for (int i = 0; i < MAX_FILES && v->files[i].name; i++)
        write_file(path, &v->files[i]);
    tiny_write_safetensors(path, m);
    buf_release(&vocabulary);
    free(m);
}

void tiny_write_berts(const char *dir)
{
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
        write_variant(dir, &variants[i]);
}
