/* Where an adapter is made, and where it appears when it is complete.
 *
 * It is made in PATH.part, which holds the checkpoint, the metrics and, after a validation, the
 * best adapter so far; PATH.part takes the name PATH at the end. Both renaming and what comes after
 * it may be interrupted anywhere: the next run finds what is left to be done. While a run has the
 * folder, it is locked.
 */
#ifndef TRAIN_ADAPTER_PLACE_H
#define TRAIN_ADAPTER_PLACE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"

#define ADAPTER_PLACE_CHECKPOINT "checkpoint.safetensors"
#define ADAPTER_PLACE_METRICS "metrics.jsonl"
#define ADAPTER_PLACE_CARD "README.md"

struct adapter_place {
    struct buf path; /* where it is to appear */
    struct buf
        folder; /* where it is made: PATH.part; PATH itself when only the end is left to do */
    int lock;   /* descriptor of the folder; -1: none */
};

/* Before anything expensive. STATUS_USAGE: PATH is there, and `force` is not; or it is no folder of
 * an adapter, which is never replaced. */
bool adapter_place_check(const char *path, bool force, struct status *status) MUST_CHECK;

/* Makes the folder, or takes it over from a run that ended, without its temporary files; `restart`:
 * without its checkpoint. STATUS_AGAIN: another run has it; STATUS_IO. */
bool adapter_place_open(struct adapter_place *place, const char *path, bool restart,
                        struct status *status) MUST_CHECK;

/* Everything is in it: the name, and the checkpoint goes. What was there is replaced. */
bool adapter_place_finish(struct adapter_place *place, struct status *status) MUST_CHECK;
void adapter_place_close(struct adapter_place *place);

/* A file in the folder, into *path, emptied first. Returns it with a zero behind it. */
const char *adapter_place_file(const struct adapter_place *place, const char *name,
                               struct buf *path);

#endif
