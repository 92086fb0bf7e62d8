/* Builds model files byte by byte, so that a test can say exactly what is wrong with one. */
#ifndef UNIT_FILE_BYTES_H
#define UNIT_FILE_BYTES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mapped_file.h"

/* GGUF's numbers for the types of values. */
enum {
    BYTES_U8 = 0,
    BYTES_I8 = 1,
    BYTES_U16 = 2,
    BYTES_I16 = 3,
    BYTES_U32 = 4,
    BYTES_I32 = 5,
    BYTES_F32 = 6,
    BYTES_BOOL = 7,
    BYTES_STRING = 8,
    BYTES_ARRAY = 9,
    BYTES_U64 = 10,
    BYTES_I64 = 11,
    BYTES_F64 = 12,
};

static inline void put_u32(struct buf *buf, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        buf_append_char(buf, (char)(value >> 8 * i));
}

static inline void put_u64(struct buf *buf, uint64_t value)
{
    put_u32(buf, (uint32_t)value);
    put_u32(buf, (uint32_t)(value >> 32));
}

static inline void put_zeros(struct buf *buf, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_append_char(buf, '\0');
}

static inline void put_string(struct buf *buf, const char *string)
{
    put_u64(buf, strlen(string));
    buf_append_string(buf, string);
}

static inline void put_gguf_start(struct buf *buf, uint64_t n_tensors, uint64_t n_pairs)
{
    buf_append_string(buf, "GGUF");
    put_u32(buf, 3);
    put_u64(buf, n_tensors);
    put_u64(buf, n_pairs);
}

static inline void put_key(struct buf *buf, const char *key, uint32_t type)
{
    put_string(buf, key);
    put_u32(buf, type);
}

static inline void put_key_u32(struct buf *buf, const char *key, uint32_t value)
{
    put_key(buf, key, BYTES_U32);
    put_u32(buf, value);
}

static inline void put_key_f32(struct buf *buf, const char *key, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    put_key(buf, key, BYTES_F32);
    put_u32(buf, bits);
}

static inline void put_key_string(struct buf *buf, const char *key, const char *value)
{
    put_key(buf, key, BYTES_STRING);
    put_string(buf, value);
}

/* The head of an array; its elements follow. */
static inline void put_key_array(struct buf *buf, const char *key, uint32_t element, uint64_t n)
{
    put_key(buf, key, BYTES_ARRAY);
    put_u32(buf, element);
    put_u64(buf, n);
}

/* A tensor of two dimensions; ne0 is the length of its rows. */
static inline void put_tensor(struct buf *buf, const char *name, uint64_t ne0, uint64_t ne1,
                              uint32_t type, uint64_t offset)
{
    put_string(buf, name);
    put_u32(buf, 2);
    put_u64(buf, ne0);
    put_u64(buf, ne1);
    put_u32(buf, type);
    put_u64(buf, offset);
}

static inline void put_padding(struct buf *buf, size_t alignment)
{
    while (buf->len % alignment != 0)
        buf_append_char(buf, '\0');
}

static inline void put_safetensors(struct buf *buf, const char *header, size_t n_data)
{
    put_u64(buf, strlen(header));
    buf_append_string(buf, header);
    put_zeros(buf, n_data);
}

/* A copy of exactly n bytes, so that a sanitizer sees the first byte read beyond them. */
static inline uint8_t *exact_copy(const char *bytes, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);

    if (!copy)
        abort();
    if (n > 0)
        memcpy(copy, bytes, n);
    return copy;
}

/* A folder for one test; its name is written to `folder`. */
static inline void make_folder(char folder[64])
{
    const char *tmp = getenv("TMPDIR");

    snprintf(folder, 64, "%.40s/medrat-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        abort();
}

static inline void write_file(const char *folder, const char *name, const void *bytes, size_t n)
{
    struct buf path = {0};
    FILE *file;

    buf_printf(&path, "%s/%s", folder, name);
    file = fopen(path.data, "wb");
    if (!file || fwrite(bytes, 1, n, file) != n || fclose(file) != 0)
        abort();
    buf_release(&path);
}

static inline void write_text(const char *folder, const char *name, const char *text)
{
    write_file(folder, name, text, strlen(text));
}

static inline void remove_file(const char *folder, const char *name)
{
    struct buf path = {0};

    buf_printf(&path, "%s/%s", folder, name);
    remove(path.data); /* a file or an empty folder; may not be there */
    buf_release(&path);
}

/* Path of a real model file, "" if it is not installed: a test of it is then left out. */
static inline const char *model_file(const char *name, char path[512])
{
    const char *models = getenv("MEDRAT_MODELS");

    snprintf(path, 512, "%s/%s", models ? models : "models", name);
    return access(path, R_OK) == 0 ? path : "";
}

#endif
