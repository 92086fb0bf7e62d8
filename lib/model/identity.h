/* Names that tell models and adapters apart in records. */
#ifndef MODEL_IDENTITY_H
#define MODEL_IDENTITY_H

#include <stdint.h>

#include "formats/tensor_file.h"

enum { IDENTITY_SIZE = 96 };

/* "NAME@HASH": the path's name (formats/model_name.h) and 16 hex digits: a hash, begun at `start`
 * (HASH_START, or what else counts), of every tensor's name, type and shape and of a sample of its
 * bytes. It tells models and fine-tunes apart; it is no proof against tampering. */
void identity_of(const struct tensor_file *tensors, uint64_t start, const char *path,
                 char name[IDENTITY_SIZE]);

#endif
