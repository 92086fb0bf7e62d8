#include "text/piece_bytes.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "formats/sentencepiece.h"
#include "text/metaspace_text.h"

static void append_spaced(struct text piece, struct buf *out)
{
    for (size_t at = 0; at < piece.len;) {
        if (text_starts_with((struct text){piece.ptr + at, piece.len - at}, text_of(METASPACE))) {
            buf_append_char(out, ' ');
            at += strlen(METASPACE);
        } else {
            buf_append_char(out, piece.ptr[at++]);
        }
    }
}

void piece_bytes_init(struct piece_bytes *p, const struct vocab *vocab, bool bytes,
                      int32_t unknown_id, struct text unknown)
{
    *p = (struct piece_bytes){.n = vocab->n};
    p->texts = memory_zeroed(vocab->n + 1, sizeof(*p->texts));
    p->is_byte = memory_zeroed(vocab->n + 1, sizeof(*p->is_byte));
    buf_reserve(&p->store, vocab->store.len + unknown.len + 1); /* and from here on does not move */
    for (size_t id = 0; id < vocab->n; id++) {
        const size_t from = p->store.len;
        const int byte = bytes ? sentencepiece_byte(vocab->pieces[id]) : -1;

        if ((int32_t)id == unknown_id)
            buf_append_text(&p->store, unknown);
        else if (byte >= 0)
            buf_append_char(&p->store, (char)byte);
        else
            append_spaced(vocab->pieces[id], &p->store);
        p->is_byte[id] = byte >= 0;
        p->texts[id] = (struct text){p->store.data + from, p->store.len - from};
    }
}

void piece_bytes_release(struct piece_bytes *p)
{
    free(p->texts);
    free(p->is_byte);
    buf_release(&p->store);
    *p = (struct piece_bytes){0};
}
