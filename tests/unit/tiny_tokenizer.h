/* A byte-level tokenizer of 256 bytes, a few merges and three control tokens, in a GGUF file:
 * small enough to know by heart what a text becomes.
 *
 *   ab, cd, abcd are tokens, so "abc" has two tokens and "abcd" one; ids of single bytes are bytes.
 */
#ifndef UNIT_TINY_TOKENIZER_H
#define UNIT_TINY_TOKENIZER_H

#include "text/tokenizer.h"

#include "tests/unit/file_bytes.h"

enum {
    TINY_AB = 256,
    TINY_CD,
    TINY_ABCD,
    TINY_BEGIN,      /* <s>, put before every text */
    TINY_TURN_BEGIN, /* <|im_start|> */
    TINY_TURN_END,   /* <|im_end|> */
    TINY_SIZE,
};

/* The letter that stands for a byte in a byte-level vocabulary: itself where it prints, else the
 * next of U+0100, U+0101, ... */
static inline void tiny_letter(int byte, char letter[3])
{
    int code = byte, n = 0;

    for (int b = 0; b <= byte; b++) {
        const bool prints = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;

        if (!prints && b == byte)
            code = 256 + n;
        n += !prints;
    }
    if (code < 128) {
        letter[0] = (char)code;
        letter[1] = '\0';
    } else {
        letter[0] = (char)(0xC0 | code >> 6);
        letter[1] = (char)(0x80 | (code & 0x3F));
        letter[2] = '\0';
    }
}

static inline void tiny_write(const char *folder, const char *name, bool chat)
{
    static const char *const merges[] = {"a b", "c d", "ab cd"};
    struct buf file = {0};

    put_gguf_start(&file, 0, 7);
    put_key_string(&file, "tokenizer.ggml.model", "gpt2");
    put_key_string(&file, "tokenizer.ggml.pre", "smollm");
    put_key_array(&file, "tokenizer.ggml.tokens", BYTES_STRING, TINY_SIZE);
    for (int byte = 0; byte < 256; byte++) {
        char letter[3];

        tiny_letter(byte, letter);
        put_string(&file, letter);
    }
    put_string(&file, "ab");
    put_string(&file, "cd");
    put_string(&file, "abcd");
    put_string(&file, "<s>");
    put_string(&file, chat ? "<|im_start|>" : "<|x|>");
    put_string(&file, chat ? "<|im_end|>" : "<|y|>");
    put_key_array(&file, "tokenizer.ggml.token_type", BYTES_I32, TINY_SIZE);
    for (int id = 0; id < TINY_SIZE; id++)
        put_u32(&file, id >= TINY_BEGIN ? 3 : 1); /* control, normal */
    put_key_array(&file, "tokenizer.ggml.merges", BYTES_STRING, 3);
    for (int i = 0; i < 3; i++)
        put_string(&file, merges[i]);
    put_key_u32(&file, "tokenizer.ggml.bos_token_id", TINY_BEGIN);
    put_key(&file, "tokenizer.ggml.add_bos_token", BYTES_BOOL);
    buf_append_char(&file, 1);
    put_padding(&file, 32);
    write_file(folder, name, file.data, file.len);
    buf_release(&file);
}

/* NULL and a status if it cannot be opened. */
static inline struct tokenizer *tiny_open(bool chat, struct status *status)
{
    struct tokenizer *tokenizer;
    struct buf path = {0};
    char folder[64];

    make_folder(folder);
    tiny_write(folder, "tiny.gguf", chat);
    buf_printf(&path, "%s/tiny.gguf", folder);
    tokenizer = tokenizer_open(path.data, status);
    remove_file(folder, "tiny.gguf");
    rmdir(folder);
    buf_release(&path);
    return tokenizer;
}

#endif
