/* tokenizer.json: what begins with a brace is such a file, and whatever it makes must encode and
 * decode. Anything else is text for small tokenizers with a token a byte, which must give it back.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "formats/tokenizer_json.h"
#include "fuzz.h"
#include "text/detokenizer.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#define SEQUENCE(steps) "{\"type\":\"Sequence\",\"pretokenizers\":[" steps "]}"
#define BYTES "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define SPLIT(pattern, behavior)                                                                   \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" pattern "\"},\"behavior\":\"" behavior         \
    "\",\"invert\":false}"

/* None of them loses a byte. */
static const char *const pre_tokenizers[] = {
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}",
    SEQUENCE("{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"ByteLevel\","
             "\"add_prefix_space\":false}"),
    SEQUENCE(
        SPLIT("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| "
              "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+",
              "Isolated") "," BYTES),
    SEQUENCE(SPLIT("\\\\w+|[^\\\\w\\\\s]+", "MergedWithPrevious") "," SPLIT(
        "a*", "Contiguous") "," SPLIT(" $|^x", "MergedWithNext") "," BYTES),
};

enum { N_TOKENIZERS = sizeof(pre_tokenizers) / sizeof(pre_tokenizers[0]) };

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* GPT-2's alphabet, and some merges. */
static void put_model(struct buf *json)
{
    int32_t next = 0x100;

    buf_append_string(json, "{\"type\":\"BPE\",\"vocab\":{");
    for (int byte = 0; byte < 256; byte++) {
        const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
                               (byte >= 0xAE && byte <= 0xFF);
        const int32_t c = printable ? byte : next++;
        char utf8[UNICODE_MAX_BYTES + 1] = {0};

        unicode_encode(c, utf8);
        buf_printf(json, "\"%s%s\":%d,", c == '"' || c == '\\' ? "\\" : "", utf8, byte);
    }
    buf_append_string(json,
                      "\"ab\":256,\"aba\":257,\"\u0120a\":258,\"<s>\":259},\"merges\":[[\"a\","
                      "\"b\"],[\"ab\",\"a\"],[\"\u0120\",\"a\"]]}");
}

static struct tokenizer *make(const char *pre_tokenizer)
{
    struct buf text = {0};
    struct tokenizer_json json;
    struct tokenizer *tokenizer;
    struct status status;

    buf_printf(
        &text,
        "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":259,\"content\":\"<s>\",\"single_word\":"
        "false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],"
        "\"pre_tokenizer\":%s,\"decoder\":{\"type\":\"ByteLevel\"},\"model\":",
        pre_tokenizer);
    put_model(&text);
    buf_append_char(&text, '}');
    check(tokenizer_json_parse(&json, buf_text(&text), &status));
    tokenizer = tokenizer_from_json(&json, NULL, "own", &status);
    check(tokenizer != NULL);
    tokenizer_json_release(&json);
    buf_release(&text);
    return tokenizer;
}

static void check_decoded(const struct tokenizer *tokenizer, const struct tokens *tokens)
{
    struct detokenizer d;
    struct buf out = {0};

    detokenizer_init(&d, tokenizer, true);
    for (size_t i = 0; i < tokens->n; i++) {
        check(tokens->ids[i] >= 0 && tokens->ids[i] < tokenizer_vocab_size(tokenizer));
        detokenizer_push(&d, tokens->ids[i], &out);
    }
    detokenizer_flush(&d, &out);
    check(unicode_is_valid(buf_text(&out)));
    buf_release(&out);
}

static void round_trip(const struct tokenizer *tokenizer, struct text text, unsigned flags)
{
    struct tokens tokens = {0};
    struct buf bytes = {0};
    struct status status;

    if (tokenizer_encode(tokenizer, text, flags, &tokens, &status)) {
        for (size_t i = 0; i < tokens.n; i++)
            buf_append_text(&bytes, tokenizer_bytes(tokenizer, tokens.ids[i]));
        check(text_equals(buf_text(&bytes), text));
        check_decoded(tokenizer, &tokens);
    }
    tokens_release(&tokens);
    buf_release(&bytes);
}

/* The bytes are a file. */
static void open_own(struct text bytes)
{
    static const char text[] = "Tok 1\u00c9e\u0301 <s>  the 12345 \n\n it's\u4e2d a\xFF b[SEP]";
    const struct text texts[] = {{text, sizeof(text) - 1}, bytes};
    struct tokenizer_json json;
    struct tokenizer *tokenizer;
    struct tokens tokens = {0}, types = {0};
    struct status status;
    size_t lengths[2];

    if (!tokenizer_json_parse(&json, bytes, &status))
        return;
    tokenizer = tokenizer_from_json(&json, NULL, "fuzz", &status);
    tokenizer_json_release(&json);
    if (!tokenizer)
        return;
    for (int i = 0; i < 2; i++) {
        if (tokenizer_encode(tokenizer, texts[i], TOKENIZER_SPECIAL, &tokens, &status))
            check_decoded(tokenizer, &tokens);
    }
    tokens_reset(&tokens);
    if (tokenizer_has_pairs(tokenizer) &&
        tokenizer_encode_pair(tokenizer, texts[0], texts[1], TOKENIZER_SPECIAL, &tokens, &types,
                              lengths, &status)) {
        tokenizer_cut_pair(tokenizer, TOKENIZER_SPECIAL, 7, TOKENIZER_KEEP_TAIL, lengths, &tokens,
                           &types);
        check(tokens.n == types.n &&
              tokens.n == lengths[0] + lengths[1] + tokenizer_n_special(tokenizer, true));
    }
    tokens_release(&tokens);
    tokens_release(&types);
    tokenizer_close(tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *tokenizers[N_TOKENIZERS]; /* live as long as the fuzzer */
    const struct text text = {(const char *)data, size};

    if (size > 0 && data[0] == '{') {
        open_own(text);
        return 0;
    }
    for (int i = 0; i < N_TOKENIZERS; i++) {
        if (!tokenizers[i])
            tokenizers[i] = make(pre_tokenizers[i]);
        round_trip(tokenizers[i], text, TOKENIZER_PLAIN);
        round_trip(tokenizers[i], text, TOKENIZER_NO_ADDED);
    }
    return 0;
}
