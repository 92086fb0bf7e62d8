/* A model's files: found by what a path holds, and tensors by Hugging Face's names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "model/model_files.h"

static const char llama_config[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":8,\"intermediate_size\":8,"
    "\"max_position_embeddings\":64,\"num_attention_heads\":2,\"num_hidden_layers\":2,"
    "\"rms_norm_eps\":1e-06,\"vocab_size\":8}";

static const char bert_config[] =
    "{\"architectures\":[\"BertModel\"],\"hidden_size\":8,\"intermediate_size\":8,"
    "\"layer_norm_eps\":1e-12,\"max_position_embeddings\":64,\"num_attention_heads\":2,"
    "\"num_hidden_layers\":2,\"type_vocab_size\":2,\"vocab_size\":8}";

/* Every tensor that a Llama of one layer has, by both names. */
static const char *const llama_names[][2] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight"},
    {"model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight"},
    {"model.layers.0.self_attn.k_proj.weight", "blk.0.attn_k.weight"},
    {"model.layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight"},
    {"model.layers.0.self_attn.o_proj.weight", "blk.0.attn_output.weight"},
    {"model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight"},
    {"model.layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight"},
    {"model.layers.0.mlp.up_proj.weight", "blk.0.ffn_up.weight"},
    {"model.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight"},
    {"model.layers.17.self_attn.q_proj.weight", "blk.17.attn_q.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
};

#define N_LLAMA_NAMES (sizeof(llama_names) / sizeof(llama_names[0]))

/* Names that must find nothing: of no tensor, or not spelled as Hugging Face does. */
static const char *const strangers[] = {
    "",
    ".weight",
    "model.layers.",
    "model.layers.0.weight",
    "model.layers.0.self_attn.q_proj",
    "model.layers.0.self_attn.q_proj.bias",
    "model.layers.1.self_attn.q_proj.weight",
    "model.layers..self_attn.q_proj.weight",
    "output.bias",
};

static void put_gguf(struct buf *bytes)
{
    struct buf keys = {0};

    put_key_string(&keys, "general.architecture", "llama");
    put_key_u32(&keys, "llama.embedding_length", 8);
    put_key_u32(&keys, "llama.block_count", 2);
    put_key_u32(&keys, "llama.feed_forward_length", 8);
    put_key_u32(&keys, "llama.context_length", 64);
    put_key_u32(&keys, "llama.attention.head_count", 2);
    put_key_u32(&keys, "llama.vocab_size", 8);
    put_key_f32(&keys, "llama.attention.layer_norm_rms_epsilon", 0.5f);
    put_gguf_start(bytes, N_LLAMA_NAMES, 8);
    buf_append_text(bytes, buf_text(&keys));
    for (size_t i = 0; i < N_LLAMA_NAMES; i++)
        put_tensor(bytes, llama_names[i][1], 8, 1, 0, 32 * i);
    put_padding(bytes, 32);
    put_zeros(bytes, 32 * N_LLAMA_NAMES);
    buf_release(&keys);
}

/* A safetensors file of empty tensors. */
static void write_weights(const char *folder, const char *const *tensors, size_t n)
{
    struct buf header = {0}, bytes = {0};

    for (size_t i = 0; i < n; i++)
        buf_printf(&header, "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
                   i > 0 ? ',' : '{', tensors[i]);
    buf_append_string(&header, n > 0 ? "}" : "{}");
    put_safetensors(&bytes, header.data, 0);
    write_file(folder, "model.safetensors", bytes.data, bytes.len);
    buf_release(&header);
    buf_release(&bytes);
}

static void assert_names_found(const struct model_files *files, int container)
{
    for (size_t i = 0; i < N_LLAMA_NAMES; i++) {
        const struct tensor_entry *entry = model_files_tensor(files, llama_names[i][0]);

        if (!entry)
            fail_msg("%s: not found", llama_names[i][0]);
        assert_string_equal(entry->name, llama_names[i][container]);
    }
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
        assert_null(model_files_tensor(files, strangers[i]));
    assert_int_equal(model_files_tensors(files)->n_entries, N_LLAMA_NAMES);
}

static void finds_the_tensors_of_a_gguf_by_hugging_face_names(void **state)
{
    char folder[64];
    struct buf bytes = {0}, path = {0};
    struct model_files files;
    struct status status = {0};

    (void)state;
    make_folder(folder);
    put_gguf(&bytes);
    write_file(folder, "model.bin", bytes.data, bytes.len); /* any name will do */
    buf_printf(&path, "%s/model.bin", folder);
    assert_true(model_files_open(&files, path.data, &status));
    assert_true(files.is_gguf);
    assert_true(files.config.qk_interleaved);
    assert_string_equal(files.path, path.data);
    assert_names_found(&files, 1);
    model_files_close(&files);

    /* the folder stands for the one GGUF file in it */
    write_text(folder, "README.md", "GGU");
    assert_true(model_files_open(&files, folder, &status));
    assert_string_equal(files.path, path.data);
    model_files_close(&files);
    remove_file(folder, "README.md");
    remove_file(folder, "model.bin");
    rmdir(folder);
    buf_release(&bytes);
    buf_release(&path);
}

static void finds_the_tensors_of_a_folder_by_their_own_names(void **state)
{
    const char *names[N_LLAMA_NAMES];
    char folder[64];
    struct model_files files;
    struct status status = {0};

    (void)state;
    for (size_t i = 0; i < N_LLAMA_NAMES; i++)
        names[i] = llama_names[i][0];
    make_folder(folder);
    write_text(folder, "config.json", llama_config);
    write_weights(folder, names, N_LLAMA_NAMES);
    assert_true(model_files_open(&files, folder, &status));
    assert_false(files.is_gguf);
    assert_false(files.config.qk_interleaved);
    assert_string_equal(files.path, folder);
    assert_names_found(&files, 0);
    model_files_close(&files);
    remove_file(folder, "model.safetensors");
    remove_file(folder, "config.json");
    rmdir(folder);
}

static void finds_the_tensors_of_a_bert_in_every_spelling(void **state)
{
    static const char *const wanted = "encoder.layer.0.output.LayerNorm.weight";
    static const char *const spellings[] = {
        "encoder.layer.0.output.LayerNorm.weight",
        "encoder.layer.0.output.LayerNorm.gamma",
        "bert.encoder.layer.0.output.LayerNorm.weight",
        "bert.encoder.layer.0.output.LayerNorm.gamma",
    };
    char folder[64];

    (void)state;
    make_folder(folder);
    write_text(folder, "config.json", bert_config);
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        struct model_files files;
        struct status status = {0};

        write_weights(folder, &spellings[i], 1);
        assert_true(model_files_open(&files, folder, &status));
        assert_non_null(model_files_tensor(&files, wanted));
        assert_string_equal(model_files_tensor(&files, wanted)->name, spellings[i]);
        assert_null(model_files_tensor(&files, "encoder.layer.0.output.LayerNorm.bias"));
        assert_null(model_files_tensor(&files, "encoder.layer.1.output.LayerNorm.weight"));
        model_files_close(&files);
    }
    remove_file(folder, "model.safetensors");
    remove_file(folder, "config.json");
    rmdir(folder);
}

static void assert_refused(const char *path, enum status_code code, const char *why)
{
    struct model_files files;
    struct status status = {0};
    struct buf message = {0};

    buf_printf(&message, "%s%s", path, why);
    assert_false(model_files_open(&files, path, &status));
    assert_string_equal(status.message, message.data);
    assert_int_equal(status.code, code);
    assert_null(files.path); /* nothing is left open */
    buf_release(&message);
}

static void says_what_it_found_instead_of_a_model(void **state)
{
    char folder[64];
    struct buf path = {0};

    (void)state;
    make_folder(folder);
    buf_printf(&path, "%s/config.json", folder);
    assert_refused(path.data, STATUS_NO_INPUT, ": No such file or directory");
    assert_refused(folder, STATUS_NO_INPUT, ": has neither config.json nor a GGUF file");
    write_text(folder, "a.gguf", "GGUF");
    write_text(folder, "b.gguf", "GGUF");
    assert_refused(folder, STATUS_CONFIG, ": has 2 GGUF files; name the one to use");
    remove_file(folder, "b.gguf");
    assert_refused(folder, STATUS_CONFIG,
                   "/a.gguf: version: needs 4 bytes, but 0 are left in the file: is it cut short?");
    remove_file(folder, "a.gguf");
    write_text(folder, "config.json", llama_config);
    assert_refused(path.data, STATUS_CONFIG,
                   ": is a JSON file, not a GGUF file or the folder of a Hugging Face model");
    assert_refused(folder, STATUS_NO_INPUT, ": no model.safetensors");
    write_text(folder, "pytorch_model.bin", "");
    assert_refused(folder, STATUS_CONFIG,
                   ": no model.safetensors; found pytorch_model.bin: pickled weights are never "
                   "read; convert them to safetensors");
    remove_file(folder, "pytorch_model.bin");
    write_text(folder, "model.safetensors.index.json", "{}");
    assert_refused(folder, STATUS_CONFIG,
                   "/model.safetensors.index.json: weight_map: must be an object of tensors and "
                   "their files");
    remove_file(folder, "model.safetensors.index.json");
    write_text(folder, "model.safetensors", "");
    assert_refused(folder, STATUS_CONFIG, "/model.safetensors: is empty, not a safetensors file");
    remove_file(folder, "model.safetensors");
    write_text(folder, "config.json", "{}");
    assert_refused(folder, STATUS_CONFIG, "/config.json: architectures: missing");
    remove_file(folder, "config.json");
    rmdir(folder);
    buf_release(&path);
}

static char smollm2[512], minilm[512];

static void opens_smollm2_with_all_its_tensors(void **state)
{
    struct model_files files;
    struct status status = {0};

    (void)state;
    assert_true(model_files_open(&files, smollm2, &status));
    assert_int_equal(files.config.n_layers, 30);
    assert_int_equal(files.config.head_dim, 64);
    assert_true(files.config.tied_embeddings);
    assert_int_equal(files.config.eos_ids[0], 2);
    for (size_t i = 0; i + 1 < N_LLAMA_NAMES; i++)
        assert_non_null(model_files_tensor(&files, llama_names[i][0]));
    assert_null(model_files_tensor(&files, "lm_head.weight"));
    model_files_close(&files);
}

static void opens_minilm_with_all_its_tensors(void **state)
{
    static const char *const names[] = {
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
        "embeddings.LayerNorm.bias",
        "encoder.layer.5.attention.self.query.weight",
        "encoder.layer.5.attention.output.LayerNorm.weight",
        "encoder.layer.5.output.dense.bias",
    };
    struct model_files files;
    struct status status = {0};

    (void)state;
    assert_true(model_files_open(&files, minilm, &status));
    assert_int_equal(files.config.architecture, ARCH_BERT);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_non_null(model_files_tensor(&files, names[i]));
    model_files_close(&files);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_tensors_of_a_gguf_by_hugging_face_names),
        cmocka_unit_test(finds_the_tensors_of_a_folder_by_their_own_names),
        cmocka_unit_test(finds_the_tensors_of_a_bert_in_every_spelling),
        cmocka_unit_test(says_what_it_found_instead_of_a_model),
        {0}, /* real models', where they are installed */
        {0},
    };
    const size_t n = sizeof(tests) / sizeof(tests[0]);

    if (model_file("smollm2", smollm2)[0])
        tests[n - 2] = (struct CMUnitTest)cmocka_unit_test(opens_smollm2_with_all_its_tensors);
    if (model_file("minilm", minilm)[0])
        tests[n - 1] = (struct CMUnitTest)cmocka_unit_test(opens_minilm_with_all_its_tensors);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
