#include "base/utf8.h"

#include <stdint.h>

/* RFC 3629, section 4: what the second byte may be depends on the first. */
struct lead {
    unsigned char first, last; /* of the leading bytes this row is for */
    unsigned char size;        /* of the character */
    unsigned char second_first, second_last;
};

static const struct lead leads[] = {
    {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf}, {0xe1, 0xec, 3, 0x80, 0xbf},
    {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf},
    {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

size_t utf8_char_size(struct text text, size_t at)
{
    const unsigned char *p = (const unsigned char *)text.ptr + at;
    const size_t left = text.len - at;

    if (left > 0 && p[0] < 0x80)
        return 1;
    for (size_t i = 0; left > 1 && i < sizeof(leads) / sizeof(leads[0]); i++) {
        const struct lead *lead = &leads[i];

        if (p[0] < lead->first || p[0] > lead->last)
            continue;
        if (lead->size > left || p[1] < lead->second_first || p[1] > lead->second_last)
            return 0;
        for (size_t k = 2; k < lead->size; k++) {
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        }
        return lead->size;
    }
    return 0;
}

/* 8 bytes of ASCII at a time: most text is mostly that. */
static size_t skip_ascii(struct text text, size_t at)
{
    uint64_t word;

    while (text.len - at >= sizeof(word)) {
        memcpy(&word, text.ptr + at, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
        at += sizeof(word);
    }
    return at;
}

size_t utf8_first_bad(struct text text)
{
    size_t at = 0;

    while ((at = skip_ascii(text, at)) < text.len) {
        const size_t size = utf8_char_size(text, at);

        if (size == 0)
            return at;
        at += size;
    }
    return text.len;
}
