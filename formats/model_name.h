/* The short names of models, and whether two of them may mean the same weights.
 *
 * An adapter tells its base as people call it ("HuggingFaceTB/SmolLM2-135M-Instruct"); installed
 * models are called otherwise ("smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"). Names are compared
 * word by word, a word being letters and digits, in any case: two names fit if the words of one
 * begin the other's.
 */
#ifndef FORMATS_MODEL_NAME_H
#define FORMATS_MODEL_NAME_H

#include "base/text.h"

/* The last part of a path or of ORG/NAME, without ".gguf"; of a snapshot in the Hugging Face cache,
 * its model's name. Points into `path`. */
struct text model_name_of(const char *path);

/* How many words two names share, if they fit; 0 if they do not. *same: they have no others. */
size_t model_name_fit(struct text a, struct text b, bool *same);

#endif
