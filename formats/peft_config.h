/* adapter_config.json of a LoRA adapter, as PEFT 0.5 to 0.21 write it.
 *
 * Every key is either used, known to change nothing, or refused by name: DoRA, biases, modules
 * saved whole and the like would change the result. A key that is not known may be null, false or
 * empty. The list stands in peft_config.c.
 */
#ifndef FORMATS_PEFT_CONFIG_H
#define FORMATS_PEFT_CONFIG_H

#include <jansson.h>
#include <stdint.h>

#include "base/status.h"

#define PEFT_CONFIG_FILE "adapter_config.json"
#define PEFT_CONFIG_MAX_RANK (1 << 20)
#define PEFT_CONFIG_MAX_NAMES ((size_t)16384)   /* in a list of modules */
#define PEFT_CONFIG_MAX_PATTERNS ((size_t)2048) /* of ranks or of alphas */

/* target_modules and its like: a pattern, or a list, or neither. */
struct peft_names {
    const char *pattern; /* one regular expression, or "all-linear"; NULL: a list */
    const char **names;  /* [n_names] ours, the strings are the root's */
    size_t n_names;
    bool given; /* not absent and not null */
};

/* A regular expression for the names of modules, and what they get. */
struct peft_pattern {
    const char *pattern; /* the root's */
    double value;
};

/* All strings are the root's; NULL where the file has none. */
struct peft_config {
    json_t *root; /* ours */
    int r;        /* rank, 1 to PEFT_CONFIG_MAX_RANK */
    double lora_alpha;
    bool use_rslora; /* scale alpha / sqrt(rank) instead of alpha / rank */
    bool fan_in_fan_out;
    struct peft_names target_modules, exclude_modules, layers_pattern;
    int64_t *layers; /* [n_layers] ours: layers_to_transform; none: all */
    size_t n_layers;
    struct peft_pattern *ranks; /* [n_ranks] ours: rank_pattern in the file's order */
    size_t n_ranks;
    struct peft_pattern *alphas; /* [n_alphas] ours: alpha_pattern */
    size_t n_alphas;
    const char *base_model, *revision, *task_type, *peft_version;
};

/* The file at `path`. On failure *config is empty and the message names file and key:
 * STATUS_NO_INPUT, STATUS_IO, STATUS_CONFIG. */
bool peft_config_read(struct peft_config *config, const char *path,
                      struct status *status) MUST_CHECK;

/* The same of a parsed file, which becomes the config's also on failure; the message begins with
 * the key. */
bool peft_config_parse(struct peft_config *config, json_t *root, struct status *status) MUST_CHECK;

void peft_config_release(struct peft_config *config);

#endif
