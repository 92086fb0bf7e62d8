/* The parameters of a LoRA adapter under training, in host memory, f32:
 *
 *   y = W x + scale * B (A drop(x)),    scale = alpha / rank, or alpha / sqrt(rank) with rslora
 *
 * A is [rank][in], B is [out][rank], row-major, in Hugging Face's row order whatever file the base
 * came from: what PEFT keeps as lora_A.weight and lora_B.weight (model/adapter.h).
 */
#ifndef TRAIN_LORA_H
#define TRAIN_LORA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "formats/model_config.h"

/* The linear layers of a decoder's layer that can have one, in the order of their computation. */
enum lora_target {
    LORA_Q_PROJ,
    LORA_K_PROJ,
    LORA_V_PROJ,
    LORA_O_PROJ,
    LORA_GATE_PROJ,
    LORA_UP_PROJ,
    LORA_DOWN_PROJ,
    LORA_TARGETS,
};

enum { LORA_MAX_RANK = 1024 };

struct lora_options {
    int rank; /* 1 to LORA_MAX_RANK */
    float alpha;
    float dropout; /* of the adapter's input: [0, 1), taken as a multiple of 1 / 65536 */
    bool rslora;
    unsigned targets; /* bits 1 << enum lora_target, at least one */
};

struct lora_module {
    int layer;
    enum lora_target target;
    int in, out;
    size_t a, b; /* where A and B begin in values and in gradients */
};

struct lora {
    struct lora_options options;
    float scale;
    struct lora_module *modules; /* [n_modules] ours: layer by layer, in each the targets ascend */
    int n_modules;
    size_t n_values;
    float *values, *gradients; /* [n_values] ours */
};

/* "q_proj": what the module is called. */
const char *lora_target_name(enum lora_target target);
/* Its module in a layer, as checkpoints name it: "self_attn.q_proj". */
const char *lora_target_path(enum lora_target target);
/* "q_proj,v_proj", "q,v" or "all" as bits 1 << LORA_Q_PROJ, ...; STATUS_USAGE. */
bool lora_targets_parse(unsigned *set, const char *list, struct status *status) MUST_CHECK;

/* Parameters for all layers of a decoder. A is uniform in +-1 / sqrt(in), as PEFT's
 * kaiming_uniform_(a = sqrt(5)) draws it; B and the gradients are zero. An element of A is a
 * function of seed, module and place alone (base/rng.h). NULL and STATUS_CONFIG for options out of
 * range, STATUS_MEMORY with the number of bytes. */
struct lora *lora_open(const struct model_config *config, const struct lora_options *options,
                       uint64_t seed, struct status *status) MUST_CHECK;
void lora_close(struct lora *lora); /* NULL allowed */

/* How many values, without making them; 0 where the number overflows. */
size_t lora_count(const struct model_config *config, const struct lora_options *options);

#endif
