#include "formats/model_name.h"

#include "formats/hub_cache.h"

struct text model_name_of(const char *path)
{
    const struct text from_hub = hub_cache_model_of(path);
    size_t end = strlen(path), start;

    if (from_hub.len > 0)
        return from_hub;
    while (end > 1 && path[end - 1] == '/')
        end--;
    for (start = end; start > 0 && path[start - 1] != '/'; start--)
        ;
    if (end - start > 5 && memcmp(path + end - 5, ".gguf", 5) == 0)
        end -= 5;
    return (struct text){path + start, end - start};
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool in_word(char c)
{
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c > 127;
}

/* Takes the next word off the name; empty at its end. */
static struct text next_word(struct text *name)
{
    struct text word;

    while (name->len > 0 && !in_word(*name->ptr)) {
        name->ptr++;
        name->len--;
    }
    word = (struct text){name->ptr, 0};
    while (name->len > 0 && in_word(*name->ptr)) {
        word.len++;
        name->ptr++;
        name->len--;
    }
    return word;
}

static bool same_word(struct text a, struct text b)
{
    for (size_t i = 0; a.len == b.len && i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return a.len == b.len;
}

size_t model_name_fit(struct text a, struct text b, bool *same)
{
    struct text x = next_word(&a), y = next_word(&b);
    size_t n = 0;

    *same = false;
    for (; x.len > 0 && y.len > 0; x = next_word(&a), y = next_word(&b)) {
        if (!same_word(x, y))
            return 0;
        n++;
    }
    *same = n > 0 && x.len == 0 && y.len == 0;
    return n;
}
