#include "train/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/float16.h"
#include "base/hash.h"
#include "base/read_files.h"
#include "formats/json_file.h"
#include "formats/run_settings.h"
#include "formats/safetensors.h"
#include "formats/safetensors_write.h"

#define FORMAT "medrat-train 1"
#define HASH_TEXT 17

enum { N_ARRAYS = 3 };

static const char *const array_names[N_ARRAYS] = {"values", "first_moment", "second_moment"};

static void list_arrays(const struct checkpoint *c, float *arrays[N_ARRAYS])
{
    arrays[0] = c->values;
    arrays[1] = c->first_moment;
    arrays[2] = c->second_moment;
}

/* A disk may lie. */
static void hash_arrays(const struct checkpoint *c, char text[HASH_TEXT])
{
    float *arrays[N_ARRAYS];
    uint64_t h = HASH_START;

    list_arrays(c, arrays);
    for (int i = 0; i < N_ARRAYS; i++)
        h = hash_more(h, arrays[i], c->n * sizeof(float));
    snprintf(text, HASH_TEXT, "%016" PRIx64, hash_mix(h));
}

/* -- writing -- */

static char *make_state(const struct checkpoint *c, const json_t *settings)
{
    char hash[HASH_TEXT];
    json_t *state;
    char *text;

    hash_arrays(c, hash);
    state = json_pack("{s:s, s:I, s:I, s:s, s:I, s:o, s:I, s:I, s:b, s:O}", "format", FORMAT,
                      "step", (json_int_t)c->step, "metrics", (json_int_t)c->metrics, "hash", hash,
                      "validated", (json_int_t)c->validated, "best",
                      isfinite(c->best) ? json_real(c->best) : json_null(), "best_step",
                      (json_int_t)c->best_step, "misses", (json_int_t)c->misses, "stopped",
                      c->stopped, "settings", settings);
    text = state ? json_dumps(state, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(state);
    return text;
}

bool checkpoint_write(const struct checkpoint *c, const json_t *settings, const char *path,
                      struct status *status)
{
    struct safetensors_write_tensor tensors[N_ARRAYS + 1];
    char *state = make_state(c, settings);
    float *arrays[N_ARRAYS];
    bool ok;

    if (!state)
        return status_fail(status, STATUS_USAGE,
                           "%s: an option's text is not UTF-8: the checkpoint cannot name it",
                           path);
    list_arrays(c, arrays);
    for (int i = 0; i < N_ARRAYS; i++)
        tensors[i] = (struct safetensors_write_tensor){.name = array_names[i],
                                                       .dtype = DTYPE_F32,
                                                       .n_dims = 1,
                                                       .shape = {c->n},
                                                       .floats = arrays[i]};
    tensors[N_ARRAYS] = (struct safetensors_write_tensor){
        .name = "state", .n_dims = 1, .shape = {strlen(state)}, .bytes = (const uint8_t *)state};
    ok = safetensors_write(path, tensors, N_ARRAYS + 1, status);
    free(state);
    return ok;
}

/* -- reading -- */

static bool read_count(const json_t *state, const char *key, uint64_t *value, struct status *status)
{
    int64_t n;

    if (!json_file_int(state, key, 0, INT64_MAX, &n, NULL, status))
        return false;
    *value = (uint64_t)n;
    return true;
}

static bool read_best(const json_t *state, double *best, struct status *status)
{
    bool found;

    *best = HUGE_VAL;
    return json_file_number(state, "best", -1e300, 1e300, best, &found, status);
}

static bool read_state(struct checkpoint *c, const json_t *state, const json_t *settings,
                       const char **hash, struct status *status)
{
    const json_t *theirs = json_object_get(state, "settings");

    if (!json_file_must_be(state, "format", FORMAT, status))
        return false;
    if (!json_object_get(state, "format") || !json_is_object(theirs))
        return status_fail(status, STATUS_CONFIG, "no checkpoint of medrat-train");
    return run_settings_compare(theirs, settings, "--restart begins anew", status) &&
           read_count(state, "step", &c->step, status) &&
           read_count(state, "metrics", &c->metrics, status) &&
           read_count(state, "validated", &c->validated, status) &&
           read_best(state, &c->best, status) &&
           read_count(state, "best_step", &c->best_step, status) &&
           read_count(state, "misses", &c->misses, status) &&
           json_file_bool(state, "stopped", &c->stopped, NULL, status) &&
           json_file_string(state, "hash", hash, NULL, status);
}

static bool read_array(const struct tensor_file *file, const char *name, float *out, size_t n,
                       struct status *status)
{
    const struct tensor_entry *t = tensor_file_find(file, name);

    if (!t || t->dtype != DTYPE_F32 || t->n_dims != 1 || t->shape[0] != n)
        return status_fail(status, STATUS_CONFIG, "tensor '%s': must be F32 of shape [%zu]", name,
                           n);
    if (n > 0)
        memcpy(out, t->data, n * sizeof(*out));
    return true;
}

static bool read_arrays(const struct checkpoint *c, const struct tensor_file *file,
                        const char *expected, struct status *status)
{
    float *arrays[N_ARRAYS];
    char hash[HASH_TEXT];

    list_arrays(c, arrays);
    for (int i = 0; i < N_ARRAYS; i++) {
        if (!read_array(file, array_names[i], arrays[i], c->n, status))
            return false;
    }
    hash_arrays(c, hash);
    if (strcmp(hash, expected) != 0)
        return status_fail(status, STATUS_CONFIG, "the values are not those that were written");
    return true;
}

bool checkpoint_parse(struct checkpoint *c, const json_t *settings, const struct tensor_file *file,
                      struct status *status)
{
    const struct tensor_entry *t = tensor_file_find(file, "state");
    const char *hash;
    json_t *state;
    bool ok;

    if (!t || strcmp(t->type_name, "U8") != 0)
        return status_fail(status, STATUS_CONFIG, "no checkpoint of medrat-train");
    state = json_file_parse((struct text){(const char *)t->data, t->size}, 0, status);
    if (!state)
        return status_context(status, "tensor 'state'");
    ok = read_state(c, state, settings, &hash, status) && read_arrays(c, file, hash, status);
    json_decref(state);
    return ok;
}

bool checkpoint_read(struct checkpoint *c, const json_t *settings, const char *path,
                     struct status *status)
{
    struct tensor_file file;
    bool ok;

    if (!safetensors_open(&file, path, status))
        return false;
    read_files_forget(path);
    ok = checkpoint_parse(c, settings, &file, status);
    tensor_file_close(&file);
    return ok || status_context(status, "%s", path);
}
