#include "tests/golden/tiny.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mapped_file.h"

_Noreturn static void die(const char *path, const char *why)
{
    fprintf(stderr, "tiny models: %s: %s\n", path, why);
    exit(70);
}

static FILE *create(const char *path)
{
    FILE *file = fopen(path, "wb");

    if (!file)
        die(path, strerror(errno));
    return file;
}

static void put(FILE *file, const char *path, const void *bytes, size_t size)
{
    if (fwrite(bytes, 1, size, file) != size)
        die(path, strerror(errno));
}

static void finish(FILE *file, const char *path)
{
    if (fclose(file))
        die(path, strerror(errno));
}

void tiny_make_dir(const char *dir, const char *name, char *path, size_t path_size)
{
    if ((size_t)snprintf(path, path_size, "%s/%s", dir, name) >= path_size)
        die(dir, "path too long");
    if (mkdir(path, 0777) && errno != EEXIST)
        die(path, strerror(errno));
}

void tiny_write_text(const char *dir, const char *name, const char *text)
{
    struct buf path = {0};

    buf_printf(&path, "%s/%s", dir, name);
    FILE *file = create(path.data);

    put(file, path.data, text, strlen(text));
    finish(file, path.data);
    buf_release(&path);
}

static void describe(struct buf *header, const struct tiny_tensor *t, size_t begin, size_t size)
{
    buf_printf(header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%lld", header->len > 1 ? "," : "",
               t->name, tiny_type_name(t->type), (long long)t->shape[0]);
    if (t->n_dims == 2)
        buf_printf(header, ",%lld", (long long)t->shape[1]);
    buf_printf(header, "],\"data_offsets\":[%zu,%zu]}", begin, begin + size);
}

size_t tiny_write_shard(const char *dir, const char *name, const struct tiny_model *model,
                        int first, int end)
{
    struct buf path = {0}, header = {0};
    uint8_t length[8];
    size_t n_bytes = 0;

    buf_append_char(&header, '{');
    for (int i = first; i < end; i++) {
        const size_t size = tiny_tensor_size(&model->tensors[i]);

        describe(&header, &model->tensors[i], n_bytes, size);
        n_bytes += size;
    }
    buf_append_string(&header, ",\"__metadata__\":{\"format\":\"pt\"}}");
    while (header.len % 8)
        buf_append_char(&header, ' ');
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)header.len >> (8 * i));

    buf_printf(&path, "%s/%s", dir, name);
    FILE *file = create(path.data);

    put(file, path.data, length, sizeof(length));
    put(file, path.data, header.data, header.len);
    for (int i = first; i < end; i++) {
        size_t size;
        uint8_t *bytes = tiny_tensor_bytes(&model->tensors[i], &size);

        put(file, path.data, bytes, size);
        free(bytes);
    }
    finish(file, path.data);
    buf_release(&path);
    buf_release(&header);
    return n_bytes;
}

void tiny_write_safetensors(const char *dir, const struct tiny_model *model)
{
    tiny_write_shard(dir, "model.safetensors", model, 0, model->n_tensors);
}

static uint64_t hash_file(uint64_t state, const char *path)
{
    struct mapped_file file;
    struct status status;

    if (!mapped_file_open(&file, path, &status))
        die(path, status.message);
    state = hash_more(state, file.data, file.size);
    mapped_file_close(&file);
    return state;
}

/* The next file, where it is there. */
static bool hash_part(uint64_t *state, const char *folder, const char *name)
{
    struct buf path = {0};
    struct stat entry;
    bool there;

    buf_printf(&path, "%s/%s", folder, name);
    there = stat(path.data, &entry) == 0;
    if (there)
        *state = hash_file(*state, path.data);
    buf_release(&path);
    return there;
}

static uint64_t hash_folder(const char *path)
{
    uint64_t state = HASH_START;
    char name[64];

    if (hash_part(&state, path, "adapter_config.json") &&
        hash_part(&state, path, "adapter_model.safetensors"))
        return state;
    if (!hash_part(&state, path, "config.json"))
        die(path, "no config.json");
    if (hash_part(&state, path, "model.safetensors"))
        return state;
    if (!hash_part(&state, path, "model.safetensors.index.json"))
        die(path, "no weights");
    for (int i = 1, n = 3; i <= n; i++) {
        snprintf(name, sizeof(name), "model-%05d-of-%05d.safetensors", i, n);
        if (!hash_part(&state, path, name))
            die(path, name);
    }
    return state;
}

uint64_t tiny_hash(const char *path)
{
    struct stat entry;

    if (stat(path, &entry))
        die(path, strerror(errno));
    return hash_mix(S_ISDIR(entry.st_mode) ? hash_folder(path) : hash_file(HASH_START, path));
}
