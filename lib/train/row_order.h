/* The order of training rows in an epoch: torch.randperm(n) of a CPU generator with that seed,
 * which is what transformers' Trainer draws of seed + epoch (accelerate's SeedableRandomSampler).
 *
 *   order = 0 .. n-1;  for i = 0 .. n-2:  swap order[i], order[i + z mod (n - i)],
 *
 * z being the next 32 bits of MT19937 (Matsumoto and Nishimura, 1998) seeded by init_genrand with
 * the low half of the seed (PyTorch, TensorFactories.cpp).
 */
#ifndef TRAIN_ROW_ORDER_H
#define TRAIN_ROW_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* torch takes another way from here on. */
#define ROW_ORDER_MAX ((size_t)(UINT32_MAX / 20))

/* Fills order[n], n < ROW_ORDER_MAX. */
void row_order(uint64_t seed, uint32_t *order, size_t n);

#endif
