/* An adapter's two files: a config, a form feed, the bytes of adapter_model.safetensors. Whatever
 * is accepted changes something, and each of its pairs is whole. */
#include <stdlib.h>

#include "base/memory.h"
#include "formats/json_file.h"
#include "formats/safetensors.h"
#include "fuzz.h"
#include "model/adapter.h"

enum { DIM = 8, FFN_DIM = 12, VOCAB_SIZE = 5, N_LAYERS = 2 };

/* Of a model, what adapters ask about; made once. */
static const struct model *small_model(void)
{
    static struct model *model;
    const struct device_options options = {.n_threads = 1};
    struct status status = {0};
    uint8_t zeros[4 * DIM * VOCAB_SIZE] = {0};
    const struct tensor_view view = {DTYPE_F32, VOCAB_SIZE, DIM, zeros, sizeof(zeros), NULL};

    if (model)
        return model;
    model = memory_zeroed(1, sizeof(*model));
    model->backend = &backend_cpu;
    model->device = backend_cpu.open(&options, &status);
    require(model->device != NULL);
    model->config = (struct model_config){.model_type = "llama",
                                          .n_layers = N_LAYERS,
                                          .dim = DIM,
                                          .ffn_dim = FFN_DIM,
                                          .n_heads = 2,
                                          .n_kv_heads = 1,
                                          .head_dim = 4,
                                          .vocab_size = VOCAB_SIZE};
    model->weights.lm_head = backend_cpu.upload(model->device, &view, NULL, &status);
    model->weights.embed_tokens = model->weights.lm_head;
    require(model->weights.lm_head != NULL);
    memcpy(model->name, "base@0123456789abcdef", 22);
    return model;
}

static void check(const struct adapter *a)
{
    int n = a->lm_head.a != NULL;

    for (int i = 0; i < a->n_layers; i++) {
        const struct adapter_layer *w = &a->layers[i];
        const struct adapter_linear linears[] = {w->q_proj,    w->k_proj,  w->v_proj,   w->o_proj,
                                                 w->gate_proj, w->up_proj, w->down_proj};

        for (size_t j = 0; j < sizeof(linears) / sizeof(linears[0]); j++) {
            require(!linears[j].a == !linears[j].b);
            require(!linears[j].a || linears[j].rank >= 1);
            n += linears[j].a != NULL;
        }
    }
    require(n == a->n_modules && n >= 1 && a->min_rank >= 1 && a->min_rank <= a->max_rank);
    require(a->name[0] && buf_text(&a->source).len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *feed = size > 0 ? memchr(data, '\f', size) : NULL;
    struct status status = {0};
    struct peft_config config;
    struct tensor_file file;
    struct adapter *adapter;
    json_t *root;

    if (!feed)
        return 0;
    root = json_file_parse((struct text){(const char *)data, (size_t)(feed - data)}, 0, &status);
    if (!root || !peft_config_parse(&config, root, &status))
        return 0;
    if (safetensors_read(&file, feed + 1, size - (size_t)(feed + 1 - data), &status)) {
        adapter = adapter_make("folder", &config, &file, small_model(), &status);
        if (adapter)
            check(adapter);
        else
            require(status.code == STATUS_CONFIG && status.message[0]);
        adapter_close(adapter);
        tensor_file_close(&file);
    }
    peft_config_release(&config);
    return 0;
}
