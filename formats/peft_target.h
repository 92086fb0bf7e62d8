/* Which modules a LoRA adapter changes, by which rank and scale: PEFT's rules, those of 0.21.
 *
 * Modules are known by their paths in the model, as "model.layers.0.self_attn.q_proj":
 *
 *   exclude_modules   a pattern that is the whole path, or a list: the path itself or its end
 *                     behind a dot. Excluded is excluded.
 *   target_modules    the same; "all-linear" (in any case) is every linear module but the output;
 *                     where the file has none, q_proj and v_proj, as PEFT has it for these models
 *   layers_to_transform, for the entries of a list that are an end of the path: the number behind
 *                     the first name (or layers_pattern) that a number follows must be listed
 *   rank_pattern, alpha_pattern   the first pattern that is the path, or its end behind a dot
 *
 * Up to 0.13 one pattern was looked for in both, ranks first; see old_alpha below.
 */
#ifndef FORMATS_PEFT_TARGET_H
#define FORMATS_PEFT_TARGET_H

#include "base/status.h"
#include "formats/peft_config.h"

struct peft_target;

/* The rules of a config, which must outlive them. NULL and STATUS_CONFIG, with the key, if a
 * pattern is none that we can match. */
struct peft_target *peft_target_open(const struct peft_config *config,
                                     struct status *status) MUST_CHECK;
void peft_target_close(struct peft_target *target); /* NULL allowed */

enum peft_module { PEFT_LINEAR, PEFT_OUTPUT /* linear too */, PEFT_OTHER };

/* Does the adapter change the module of that path? False and STATUS_CONFIG if a pattern takes too
 * long. */
bool peft_target_includes(struct peft_target *target, const char *path, enum peft_module kind,
                          bool *included, struct status *status) MUST_CHECK;

/* Rank and alpha of a module that it changes; *old_alpha is what PEFT took before 0.14. */
bool peft_target_numbers(struct peft_target *target, const char *path, int *rank, double *alpha,
                         double *old_alpha, struct status *status) MUST_CHECK;

#endif
