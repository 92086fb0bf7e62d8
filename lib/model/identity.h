/* Names that tell models and adapters apart in records. */
#ifndef MODEL_IDENTITY_H
#define MODEL_IDENTITY_H

#include <stdint.h>

#include "formats/tensor_file.h"

enum { IDENTITY_SIZE = 96 };

/* How much of each tensor the hash reads: of gigabytes a sample, which tells models and fine-tunes
 * apart and is no proof against damage (formats/model_check.h is); of an adapter all. */
enum identity_bytes { IDENTITY_SAMPLE, IDENTITY_ALL };

/* "NAME@HASH": the path's name (formats/model_name.h) and 16 hex digits: a hash, begun at `start`
 * (HASH_START, or what else counts), of every tensor's name, type, shape and bytes. */
void identity_of(const struct tensor_file *tensors, enum identity_bytes bytes, uint64_t start,
                 const char *path, char name[IDENTITY_SIZE]);

#endif
