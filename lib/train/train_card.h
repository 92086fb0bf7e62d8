/* README.md of an adapter: what it is, how it was made, how it did. */
#ifndef TRAIN_TRAIN_CARD_H
#define TRAIN_TRAIN_CARD_H

#include "train/trainer.h"

/* Writes it into the trainer's folder. */
bool train_card_write(const struct trainer *trainer, struct status *status) MUST_CHECK;

#endif
