/* An adapter's config, and the modules it names: whatever is accepted holds the promises of
 * peft_config.h, and its rules answer for every module. */
#include <stdlib.h>

#include "formats/json_file.h"
#include "formats/peft_target.h"
#include "fuzz.h"

static void check_config(const struct peft_config *c)
{
    require(c->r >= 1 && c->r <= PEFT_CONFIG_MAX_RANK);
    require(c->lora_alpha >= -1e9 && c->lora_alpha <= 1e9);
    for (size_t i = 0; i < c->n_ranks; i++)
        require(c->ranks[i].value >= 1 && c->ranks[i].value <= PEFT_CONFIG_MAX_RANK);
    for (size_t i = 0; i < c->target_modules.n_names; i++)
        require(c->target_modules.names[i] != NULL);
    require(!(c->target_modules.pattern && c->target_modules.names));
}

static void ask(struct peft_target *target, const char *path, enum peft_module kind)
{
    struct status status = {0};
    double alpha, old_alpha;
    bool included;
    int rank;

    if (!peft_target_includes(target, path, kind, &included, &status) ||
        !peft_target_numbers(target, path, &rank, &alpha, &old_alpha, &status)) {
        require(status.code == STATUS_CONFIG && status.message[0]);
        return;
    }
    require(rank >= 1 && rank <= PEFT_CONFIG_MAX_RANK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct status status = {0};
    struct peft_config config;
    struct peft_target *target;
    json_t *root = json_file_parse((struct text){(const char *)data, size}, 0, &status);

    if (!root)
        return 0;
    if (!peft_config_parse(&config, root, &status)) {
        require(status.code == STATUS_CONFIG && status.message[0] && !config.root);
        return 0;
    }
    check_config(&config);
    target = peft_target_open(&config, &status);
    if (target) {
        ask(target, "model.layers.0.self_attn.q_proj", PEFT_LINEAR);
        ask(target, "model.layers.11.mlp.down_proj", PEFT_LINEAR);
        ask(target, "model.embed_tokens", PEFT_OTHER);
        ask(target, "lm_head", PEFT_OUTPUT);
    } else {
        require(status.code == STATUS_CONFIG && status.message[0]);
    }
    peft_target_close(target);
    peft_config_release(&config);
    return 0;
}
