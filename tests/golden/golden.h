/* What the golden tests share: rows of a golden file, devices, real models, and how to skip.
 *
 * Tests run in the source tree's top folder. Real models lie in $MEDRAT_MODELS (default: models/),
 * the evaluation data in $MEDRAT_DATA (default: ../shared/data). What fails here ends the program:
 * without its reference a test has nothing to say.
 */
#ifndef GOLDEN_GOLDEN_H
#define GOLDEN_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/text.h"
#include "compute/backend.h"
#include "run/scheduler.h"

/* The rows of tests/golden/NAME, an array of objects; the caller drops it. */
json_t *golden_rows(const char *name);

/* Member `name` of a row, which must be there. The arrays are the caller's to free. */
int32_t *golden_ids(const json_t *row, const char *name, int *n);
double *golden_numbers(const json_t *row, const char *name, int *n);
struct text golden_text(const json_t *row, const char *name);

/* "Cannot run here": prove sees a skipped program, or a failed one under MEDRAT_STRICT=1. Only
 * before cmocka starts. */
_Noreturn void golden_skip(const char *why);

/* Where a real model lies; skips the program if it is not there, and in a sanitizer build, whose
 * part are the small models. `path` must outlive its use. */
const char *golden_model(const char *folder, struct buf *path);

/* The first n lines of a file of $MEDRAT_DATA as an array; skips the program if it is not there. */
json_t *golden_data(const char *file, size_t n);

/* A CPU device on one kernel set ("scalar", "avx2", ...). False: this CPU cannot; TAP hears of it.
 */
struct golden_device {
    const struct backend *backend;
    struct device *device;
};
bool golden_device_open(struct golden_device *d, const char *kernels, int n_threads);
void golden_device_close(struct golden_device *d);

/* A device with a language model, which has a tokenizer, and a scheduler of n_slots sequences on
 * two threads. False as golden_device_open. */
struct golden_engine {
    struct golden_device device;
    struct model *model;
    struct scheduler *scheduler;
};
bool golden_engine_open(struct golden_engine *e, const char *kernels, const char *model_path,
                        int n_slots);
void golden_engine_close(struct golden_engine *e);

/* The kernel sets that golden tests run on, the oracle first. */
enum { GOLDEN_N_KERNELS = 5 };
extern const char *const golden_kernels[GOLDEN_N_KERNELS];

/* The device's set rounds what it multiplies to 16 bits. */
bool golden_rounds(const struct golden_device *d);

/* A new empty folder with the small models (tiny.h), and its removal. */
void golden_tiny_make(struct buf *folder);
void golden_tiny_remove(struct buf *folder);

/* Steps until nothing waits or runs; each finished sequence goes to done(context, sequence). */
typedef void golden_done(void *context, struct sequence *sequence);
void golden_run(struct scheduler *scheduler, golden_done *done, void *context);

/* Embeds the rows' texts, all in one call, and compares: numbers of tokens must be equal; returns
 * the least cosine between a vector and the row's `embedding`. Inside a cmocka test. */
double golden_least_cosine(const struct golden_device *d, const char *folder, const json_t *rows,
                           size_t n_rows);

/* Ends the program with "place: message" if !ok. */
void golden_need(bool ok, const char *place, const struct status *status);

#endif
