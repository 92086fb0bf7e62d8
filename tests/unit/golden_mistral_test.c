/* Token ids, texts and chats of Mistral v0.3's tokenizer agree with sentencepiece, mistral-common
 * and tokenizers, in every container: tests/golden/mistral.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mapped_file.h"
#include "llama_files.h"
#include "tests/golden/golden.h"
#include "tests/golden/hashes.h"
#include "text/chat_template.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

enum { N_VAL = 3246, BLOCK = 4096, N_POINTS = 0x110000, MAX_TURNS = 8 };

/* Behind the kinds of tokenizer.json: GGUF and a folder's tokenizer.model, which are as "first". */
static const char *const names[] = {"spm",   "first",  "always", "never",
                                    "split", "legacy", "first",  "first"};
enum { N_NAMES = sizeof(names) / sizeof(names[0]) };

static struct tokenizer *tokenizers[N_NAMES];
static struct tokens tokens;
static struct buf text;

static void encode(const struct tokenizer *tokenizer, struct text from, unsigned flags)
{
    struct status status;

    assert_true(tokenizer_encode(tokenizer, from, flags, &tokens, &status));
}

static unsigned flags_of(size_t which)
{
    return which == 0 ? TOKENIZER_PLAIN : TOKENIZER_SPECIAL;
}

static void decode(const struct tokenizer *tokenizer)
{
    struct detokenizer d;

    buf_reset(&text);
    detokenizer_init(&d, tokenizer, false);
    for (size_t i = 0; i < tokens.n; i++) {
        detokenizer_push(&d, tokens.ids[i], &text);
        assert_true(unicode_is_valid(buf_text(&text)));
    }
    detokenizer_flush(&d, &text);
}

static void expect_hash(const json_t *row, const char *name, uint64_t hash, size_t number)
{
    char hex[17];

    snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)hash);
    if (!text_is(golden_text(row, name), hex))
        fail_msg("row %zu: %s differs", number, name);
}

static void hard_texts_are_encoded_and_decoded_as_each_reference_does(void **state)
{
    json_t *rows = golden_rows("tokens/mistral_hard.jsonl"),
           *hard = golden_rows("tokens/hard.jsonl");
    const json_t *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        const bool own = i >= json_array_size(hard);
        const struct text from = golden_text(own ? row : json_array_get(hard, i), "text");

        for (size_t k = 0; k < N_NAMES; k++) {
            char name[32];

            tokens_reset(&tokens);
            encode(tokenizers[k], from, flags_of(k));
            expect_hash(row, names[k], hashes_of_ids(&tokens), i);
            decode(tokenizers[k]);
            snprintf(name, sizeof(name), "%s_text", names[k]);
            expect_hash(row, name, hash64(text.data, text.len), i);
        }
    }
    json_decref(rows);
    json_decref(hard);
}

static void ids_that_no_text_gives_are_decoded_as_each_reference_does(void **state)
{
    json_t *rows = golden_rows("tokens/mistral_bytes.jsonl");
    const json_t *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        int n;
        int32_t *ids = golden_ids(row, "ids", &n);

        tokens_reset(&tokens);
        for (int k = 0; k < n; k++)
            tokens_push(&tokens, ids[k]);
        free(ids);
        for (size_t k = 0; k < N_NAMES; k++) {
            decode(tokenizers[k]);
            if (!text_equals(buf_text(&text), golden_text(row, names[k])))
                fail_msg("row %zu: %s differs", i, names[k]);
        }
    }
    json_decref(rows);
}

static size_t check_rows(const struct tokenizer *tokenizer, unsigned flags, const char *file,
                         size_t n_rows, const uint64_t *want)
{
    json_t *rows = golden_data(file, n_rows);
    const json_t *row, *passage;
    size_t i, k;

    json_array_foreach(rows, i, row)
    {
        tokens_reset(&tokens);
        if (json_object_get(row, "passages")) {
            json_array_foreach(json_object_get(row, "passages"), k, passage)
                encode(tokenizer, golden_text(passage, "text"), flags);
        } else {
            encode(tokenizer, golden_text(row, "text"), flags);
        }
        if (hashes_of_ids(&tokens) != want[i])
            fail_msg("%s: row %zu differs", file, i);
    }
    json_decref(rows);
    return i;
}

/* tests/golden/mistral.py has the same. */
static size_t check_blocks(const struct tokenizer *tokenizer, unsigned flags, const uint64_t *want)
{
    for (int32_t block = 0; block < N_POINTS / BLOCK; block++) {
        tokens_reset(&tokens);
        for (int32_t c = block * BLOCK; c < (block + 1) * BLOCK; c++) {
            char bytes[UNICODE_MAX_BYTES];
            const size_t n = unicode_encode(c, bytes);
            static const char *const between[] = {"x", "y ", "'s  ", "", "'re 1", "\n"};

            if (c >= 0xD800 && c < 0xE000)
                continue;
            buf_reset(&text);
            for (size_t k = 0; k < sizeof(between) / sizeof(between[0]); k++) {
                if (k > 0)
                    buf_append(&text, bytes, n);
                buf_append_string(&text, between[k]);
            }
            encode(tokenizer, buf_text(&text), flags);
        }
        if (hashes_of_ids(&tokens) != want[block])
            fail_msg("code points from %X differ", (unsigned)(block * BLOCK));
    }
    return N_POINTS / BLOCK;
}

static void check_all(size_t which, const char *file)
{
    static const struct {
        const char *file;
        size_t n;
    } sets[] = {{"rationales/val.jsonl", N_VAL},  {"rerank/evinf.dev.jsonl", 120},
                {"rerank/liveqa.dev.jsonl", 20},  {"rerank/medquad.dev.jsonl", 150},
                {"rerank/poison.dev.jsonl", 120}, {"rerank/pubmedqa.dev.jsonl", 150}};
    size_t n, at = 0;
    uint64_t *want = hashes_read(file, &n);

    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        at += check_rows(tokenizers[which], flags_of(which), sets[i].file, sets[i].n, want + at);
    at += check_blocks(tokenizers[which], flags_of(which), want + at);
    assert_int_equal(at, n);
    free(want);
}

static void all_texts_and_code_points_are_encoded_as_sentencepiece_does(void **state)
{
    (void)state;
    check_all(0, "tokens/mistral.spm.hash");
}

static void all_texts_and_code_points_are_encoded_as_tokenizers_does(void **state)
{
    (void)state;
    check_all(1, "tokens/mistral.first.hash");
}

static void check_chat(const struct tokenizer *tokenizer, const json_t *row, size_t number)
{
    const json_t *turns = json_object_get(row, "messages"), *turn;
    const bool refused = json_is_null(json_object_get(row, "ids"));
    struct message messages[MAX_TURNS];
    enum chat_template template;
    struct status status = {0};
    size_t k;
    bool ok;

    assert_in_range(json_array_size(turns), 0, MAX_TURNS);
    json_array_foreach(turns, k, turn)
    {
        messages[k] = (struct message){golden_text(turn, "role"), golden_text(turn, "content")};
    }
    assert_true(chat_template_find(NULL, tokenizer, &template, &status));
    assert_string_equal(chat_template_name(template), "mistral-v3");
    tokens_reset(&tokens);
    ok = chat_template_render(template, tokenizer, messages, json_array_size(turns),
                              json_is_true(json_object_get(row, "prompt")), &tokens, &status);
    if (ok == refused)
        fail_msg("chat %zu: %s", number, refused ? "must be refused" : status.message);
    if (refused) {
        assert_int_equal(status.code, STATUS_INPUT);
        return;
    }
    if (json_array_size(json_object_get(row, "ids")) != tokens.n)
        fail_msg("chat %zu: %zu ids", number, tokens.n);
    for (k = 0; k < tokens.n; k++) {
        if (json_integer_value(json_array_get(json_object_get(row, "ids"), k)) != tokens.ids[k])
            fail_msg("chat %zu: id %zu differs", number, k);
    }
}

static void chats_are_built_as_mistral_common_builds_them(void **state)
{
    json_t *rows = golden_rows("tokens/mistral_chats.jsonl");
    const json_t *row;
    size_t i;

    (void)state;
    for (size_t k = 0; k < N_NAMES; k++) {
        if (strcmp(names[k], "split") == 0) /* no model has both */
            continue;
        json_array_foreach(rows, i, row) check_chat(tokenizers[k], row, i);
    }
    json_decref(rows);
}

static void open_all(void)
{
    struct buf folder = {0}, json = {0};
    struct mapped_file file;
    struct sentencepiece model;
    struct status status;
    char work[64], path[128];
    bool ok;

    golden_model("mistral-v3-tokenizer", &folder);
    tokenizers[0] = tokenizer_open(folder.data, &status);
    golden_need(tokenizers[0] != NULL, folder.data, &status);
    buf_append_string(&folder, "/mistral_instruct_tokenizer_240216.model.v2");
    ok = mapped_file_open(&file, folder.data, &status) &&
         sentencepiece_read(&model, file.data, file.size, &status);
    golden_need(ok, folder.data, &status);
    make_folder(work);
    snprintf(path, sizeof(path), "%s/tokenizer.json", work);
    for (size_t k = 1; k + 1 < N_NAMES; k++) {
        buf_reset(&json);
        if (k + 2 == N_NAMES)
            put_llama_gguf(&json, &model);
        else
            put_llama_json(&json, &model, names[k]);
        write_file(work, "tokenizer.json", json.data, json.len);
        tokenizers[k] = tokenizer_open(path, &status);
        golden_need(tokenizers[k] != NULL, names[k], &status);
    }
    remove_file(work, "tokenizer.json");
    write_file(work, "tokenizer.model", file.data, file.size);
    tokenizers[N_NAMES - 1] = tokenizer_open(work, &status);
    golden_need(tokenizers[N_NAMES - 1] != NULL, "tokenizer.model", &status);
    remove_file(work, "tokenizer.model");
    rmdir(work);
    sentencepiece_release(&model);
    mapped_file_close(&file);
    buf_release(&json);
    buf_release(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hard_texts_are_encoded_and_decoded_as_each_reference_does),
        cmocka_unit_test(ids_that_no_text_gives_are_decoded_as_each_reference_does),
        cmocka_unit_test(chats_are_built_as_mistral_common_builds_them),
        cmocka_unit_test(all_texts_and_code_points_are_encoded_as_sentencepiece_does),
        cmocka_unit_test(all_texts_and_code_points_are_encoded_as_tokenizers_does),
    };
    int n_failed;

    json_decref(golden_data("rationales/val.jsonl", 1));
    open_all();
    n_failed = cmocka_run_group_tests_name("golden_mistral", tests, NULL, NULL);
    for (size_t k = 0; k < N_NAMES; k++)
        tokenizer_close(tokenizers[k]);
    tokens_release(&tokens);
    buf_release(&text);
    return n_failed;
}
