/* Model configurations, config.json or the keys of a GGUF file: whatever is accepted holds the
 * promises of model_config.h. */
#include <stdlib.h>

#include "formats/json_file.h"
#include "formats/model_config.h"
#include "fuzz.h"

static void check(const struct model_config *c)
{
    require(c->dim > 0 && c->n_layers > 0 && c->ffn_dim > 0 && c->vocab_size > 0);
    require(c->n_heads > 0 && c->n_kv_heads > 0 && c->n_heads % c->n_kv_heads == 0);
    require(c->head_dim > 0 && c->max_seq_len > 0 && c->norm_eps > 0.0f);
    require(c->architecture == ARCH_BERT || (c->head_dim % 2 == 0 && c->rope.theta >= 1.0));
    require(c->sliding_window >= 0 && (c->rope.scaling == ROPE_PLAIN || c->rope.factor > 0));
    require(c->rope.scaling != ROPE_LLAMA3 ||
            (c->rope.low_freq_factor > 0 && c->rope.high_freq_factor > c->rope.low_freq_factor &&
             c->rope.original_positions > 0));
    require(c->architecture != ARCH_BERT || (c->type_vocab_size > 0 && c->n_eos_ids == 0));
    require(c->bos_id >= -1 && c->bos_id < c->vocab_size);
    require(c->n_eos_ids >= 0 && c->n_eos_ids <= MODEL_CONFIG_MAX_EOS_IDS);
    for (int i = 0; i < c->n_eos_ids; i++)
        require(c->eos_ids[i] >= 0 && c->eos_ids[i] < c->vocab_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model_config config;
    struct status status;

    if (gguf_is(data, size)) {
        struct gguf gguf;

        if (!gguf_read(&gguf, data, size, &status))
            return 0;
        if (model_config_read_gguf(&config, &gguf, &status))
            check(&config);
        gguf_close(&gguf);
    } else {
        json_t *root =
            json_file_parse((struct text){(const char *)data, size}, JSON_FILE_EXACT, &status);

        if (root && model_config_from_json(&config, root, &status))
            check(&config);
        json_decref(root);
    }
    return 0;
}
