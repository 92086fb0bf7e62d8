/* WordPiece from a folder or a bare vocab.txt: its options, its words, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "encode_text.h"
#include "file_bytes.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

#define VOCAB                                                                                      \
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"                                                         \
    "cough\n##s\nCough\né\ne\n##e\n##é\n.\n中\n##中\na\n##a\n'\nun\n##able\nunable\n##\n"      \
    "i\n##\u0307\n"

static char folder[64];

static const char *const files[] = {"vocab.txt", "tokenizer_config.json", "tokenizer.json",
                                    "tokenizer.model", "chat_template.jinja"};

static int make_test_folder(void **state)
{
    (void)state;
    make_folder(folder);
    return 0;
}

static int remove_test_folder(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        remove_file(folder, files[i]);
    rmdir(folder);
    return 0;
}

/* NULL: no such file. */
static void write_folder(const char *vocab, const char *config, const char *tokenizer)
{
    const char *const contents[] = {vocab, config, tokenizer};

    for (size_t i = 0; i < 3; i++) {
        remove_file(folder, files[i]);
        if (contents[i])
            write_text(folder, files[i], contents[i]);
    }
}

static struct tokenizer *open_with(const char *config, const char *tokenizer)
{
    struct status status = {0};
    struct tokenizer *t;

    write_folder(VOCAB, config, tokenizer);
    t = tokenizer_open(folder, &status);
    assert_string_equal(status.message, "");
    return t;
}

static void expect(const struct tokenizer *t, const char *text, const char *want)
{
    struct tokens tokens = {0};
    struct buf got = {0};

    encode_text(t, text_of(text), TOKENIZER_SPECIAL, &tokens);
    for (size_t i = 0; i < tokens.n; i++) {
        if (i > 0)
            buf_append_char(&got, ' ');
        buf_append_text(&got, tokenizer_piece(t, tokens.ids[i]));
    }
    assert_string_equal(got.data, want);
    tokens_release(&tokens);
    buf_release(&got);
}

static void has_berts_own_options_without_a_configuration(void **state)
{
    struct tokenizer *t = open_with(NULL, NULL);

    (void)state;
    expect(t, "", "[CLS] [SEP]");
    expect(t, "COUGHS.", "[CLS] cough ##s . [SEP]");
    expect(t, "  cough\tCough\u00a0cough\u3000", "[CLS] cough cough cough [SEP]");
    expect(t, "\u00c9 e\u0301", "[CLS] e e [SEP]");
    expect(t, "a中a", "[CLS] a 中 a [SEP]");
    expect(t, "a\u200b\u00ad\0336a", "[CLS] [UNK] [SEP]");
    expect(t, "a\u200b\u00ad\033a\ufffd", "[CLS] a ##a [SEP]");
    expect(t, "unable unables unablex", "[CLS] unable unable ##s [UNK] [SEP]");
    expect(t, "\u0130", "[CLS] i [SEP]"); /* its dot goes with the accents, before lower case */
    expect(t, "cough[SEP]s [sep]", "[CLS] cough [SEP] [UNK] [UNK] [UNK] [UNK] [SEP]");
    tokenizer_close(t);
}

static void reads_its_options_from_tokenizer_config(void **state)
{
    struct tokenizer *cased = open_with("{\"do_lower_case\":false}", NULL);
    struct tokenizer *accents = open_with("{\"do_lower_case\":true,\"strip_accents\":false}", NULL);
    struct tokenizer *stripped =
        open_with("{\"do_lower_case\":false,\"strip_accents\":true}", NULL);
    struct tokenizer *chinese = open_with("{\"tokenize_chinese_chars\":false}", NULL);

    (void)state;
    expect(cased, "Cough cough E é e\u0301", "[CLS] Cough cough [UNK] é [UNK] [SEP]");
    expect(accents, "Cough É", "[CLS] cough é [SEP]");
    expect(accents, "\u0130", "[CLS] i ##\u0307 [SEP]"); /* full lower case: two code points */
    expect(stripped, "Cough é", "[CLS] Cough e [SEP]");
    expect(chinese, "a中a 中", "[CLS] a ##中 ##a 中 [SEP]");
    tokenizer_close(cased);
    tokenizer_close(accents);
    tokenizer_close(stripped);
    tokenizer_close(chinese);
}

#define TOKEN(id, content)                                                                         \
    "{\"id\":" #id ",\"content\":\"" content "\",\"special\":true,\"single_word\":false,"          \
    "\"lstrip\":false,\"rstrip\":false,\"normalized\":false}"
#define JSON(lowercase)                                                                            \
    "{\"version\":\"1.0\",\"truncation\":{\"max_length\":3},\"padding\":{\"anything\":1},"         \
    "\"added_tokens\":[" TOKEN(1, "[CLS]") "," TOKEN(                                              \
        2, "[SEP]") "],\"normalizer\":{\"type\":"                                                  \
                    "\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"        \
                    "\"strip_accents\":null,"                                                      \
                    "\"lowercase\":" lowercase                                                     \
                    "},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"                         \
                    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],"       \
                    "\"cls\":[\"[CLS]\",1]}"                                                       \
                    ",\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"    \
                    "\"model\":{\"type\":"                                                         \
                    "\"WordPiece\",\"unk_token\":\"[UNK]\",\"max_input_chars_per_word\":6,"        \
                    "\"vocab\":{\"[UNK]\":0,"                                                      \
                    "\"[CLS]\":1,\"[SEP]\":2,\"cough\":3,\"Cough\":4,\"a\":5,\"##a\":6,\"##s\":7," \
                    "\"\u00e9\":8,\"e\":9}}}"

static void takes_tokenizer_json_first_but_not_its_truncation(void **state)
{
    struct tokenizer *t = open_with(NULL, JSON("true"));
    struct tokenizer *cased = open_with(NULL, JSON("false"));
    struct tokenizer *other = open_with("{\"do_lower_case\":true}", JSON("false"));

    (void)state;
    assert_string_equal(tokenizer_source(t), "tokenizer.json");
    assert_int_equal(tokenizer_vocab_size(t), 10);
    expect(t, "a a a a a", "[CLS] a a a a a [SEP]");
    expect(t, "coughs cougha coughsa",
           "[CLS] cough ##s cough ##a [UNK] [SEP]"); /* 7 are too long */
    expect(cased, "Cough \u00e9", "[CLS] Cough \u00e9 [SEP]");
    expect(other, "Cough", "[CLS] Cough [SEP]"); /* of no class that we know */
    tokenizer_close(t);
    tokenizer_close(cased);
    tokenizer_close(other);
}

static void lets_the_configuration_of_a_bert_win(void **state)
{
    struct tokenizer *lower =
        open_with("{\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":true}", JSON("false"));
    struct tokenizer *cased = open_with(
        "{\"tokenizer_class\":\"BertTokenizerFast\",\"do_lower_case\":false}", JSON("true"));
    struct tokenizer *accents =
        open_with("{\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":"
                  "true,\"strip_accents\":false}",
                  JSON("true"));
    struct tokenizer *silent = open_with("{\"tokenizer_class\":\"BertTokenizer\"}", JSON("false"));

    (void)state;
    expect(lower, "Cough \u00e9", "[CLS] cough e [SEP]");
    expect(cased, "Cough \u00e9", "[CLS] Cough \u00e9 [SEP]");
    expect(accents, "Cough \u00e9", "[CLS] cough \u00e9 [SEP]");
    expect(silent, "Cough \u00e9", "[CLS] cough e [SEP]"); /* as transformers does */
    tokenizer_close(lower);
    tokenizer_close(cased);
    tokenizer_close(accents);
    tokenizer_close(silent);
}

static void counts_the_length_of_a_word_in_characters(void **state)
{
    struct tokenizer *t = open_with(NULL, NULL);
    struct buf text = {0};
    struct tokens tokens = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        buf_append_string(&text, "e\u0301");
    encode_text(t, buf_text(&text), TOKENIZER_PLAIN, &tokens);
    assert_int_equal(tokens.n, 100);
    buf_append_string(&text, "e");
    tokens_reset(&tokens);
    encode_text(t, buf_text(&text), TOKENIZER_PLAIN, &tokens);
    assert_int_equal(tokens.n, 1);
    assert_int_equal(tokens.ids[0], 1);
    tokens_release(&tokens);
    buf_release(&text);
    tokenizer_close(t);
}

/* U+1B44 (class 9) and U+302E (224) are spacing marks, so they stay; U+0316 (220) goes. */
static void puts_marks_in_canonical_order(void **state)
{
    static const char vocab[] = "[UNK]\n[CLS]\n[SEP]\na\na\u1b44\u302e\n##a\na\u302e\n"
                                "##\u1b44\n##\u302e\n";
    struct buf text = {0};
    struct tokens tokens = {0};
    struct status status;
    struct tokenizer *t;

    (void)state;
    write_folder(vocab, NULL, NULL);
    t = tokenizer_open(folder, &status);
    assert_non_null(t);
    expect(t, "a\u302e\u1b44", "[CLS] a\u1b44\u302e [SEP]");
    expect(t, "a\u302e\u0316\u1b44", "[CLS] a\u1b44\u302e [SEP]");
    expect(t, "a\u302ea\u1b44", "[CLS] a\u302e ##a ##\u1b44 [SEP]"); /* a starter parts them */
    for (int i = 0; i < 30; i++)
        buf_append_string(&text, i == 0 ? "a\u302e" : "\u302e\u1b44");
    encode_text(t, buf_text(&text), TOKENIZER_PLAIN, &tokens);
    assert_int_equal(tokens.n, 1 + 29 + 30); /* all of one, then all of the other */
    assert_int_equal(tokens.ids[29], tokens.ids[1]);
    assert_int_equal(tokens.ids[30], tokens.ids[59]);
    tokens_release(&tokens);
    buf_release(&text);
    tokenizer_close(t);
}

static void takes_special_tokens_by_the_names_of_the_configuration(void **state)
{
    struct tokenizer *t;
    struct status status = {0};

    (void)state;
    write_folder("<unk>\n<s>\n</s>\na\n",
                 "{\"unk_token\":\"<unk>\",\"cls_token\":{\"content\":\"<s>\"},"
                 "\"sep_token\":\"</s>\",\"model_max_length\":1000000000000000019884624838656}",
                 NULL);
    t = tokenizer_open(folder, &status);
    assert_non_null(t);
    expect(t, "a</s>b", "<s> a </s> <unk> </s>");
    assert_true(tokenizer_is_control(t, 2));
    tokenizer_close(t);
}

static void expect_template(const char *config, const char *file, const char *want)
{
    struct tokenizer *t;

    if (file)
        write_text(folder, "chat_template.jinja", file);
    t = open_with(config, NULL);
    assert_true(text_is(tokenizer_chat_template(t), want));
    tokenizer_close(t);
    remove_file(folder, "chat_template.jinja");
}

static void takes_the_chat_template_from_the_configuration_or_its_own_file(void **state)
{
    (void)state;
    expect_template(NULL, NULL, "");
    expect_template("{\"chat_template\":\"one\"}", NULL, "one");
    expect_template("{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"two\"},"
                    "{\"name\":\"default\",\"template\":\"three\"}]}",
                    NULL, "three");
    expect_template("{\"chat_template\":[{\"name\":\"rag\",\"template\":\"two\"}]}", NULL, "");
    expect_template("{\"chat_template\":\"one\"}", "file", "file");
    expect_template(NULL, "file", "file");
}

static void reads_a_bare_vocab_txt_with_any_line_ends(void **state)
{
    struct status status = {0};
    struct buf path = {0};
    struct tokenizer *t;

    (void)state;
    write_folder("[UNK]\r\n[CLS]\r\n[SEP]\r\na", "{\"do_lower_case\":false}", NULL);
    buf_printf(&path, "%s/vocab.txt", folder);
    t = tokenizer_open(path.data, &status);
    assert_non_null(t);
    assert_int_equal(tokenizer_vocab_size(t), 4);
    expect(t, "A", "[CLS] a [SEP]"); /* what lies beside a bare file is not asked */
    assert_string_equal(tokenizer_name(t), "wordpiece");
    tokenizer_close(t);
    buf_release(&path);
}

static void decodes_words_with_spaces_between(void **state)
{
    struct tokenizer *t = open_with(NULL, NULL);
    struct tokens tokens = {0};
    struct detokenizer d;
    struct buf text = {0};

    (void)state;
    encode_text(t, text_of("Coughs a unables."), TOKENIZER_SPECIAL, &tokens);
    for (int shown = 0; shown < 2; shown++) {
        buf_reset(&text);
        detokenizer_init(&d, t, shown);
        for (size_t i = 0; i < tokens.n; i++)
            detokenizer_push(&d, tokens.ids[i], &text);
        detokenizer_flush(&d, &text);
        assert_string_equal(text.data,
                            shown ? "[CLS] coughs a unables. [SEP]" : "coughs a unables.");
    }
    tokens_release(&tokens);
    buf_release(&text);
    tokenizer_close(t);
}

/* ---- what is refused ---- */

static void expect_refused(const char *vocab, const char *config, const char *tokenizer,
                           const char *message)
{
    struct status status = {0};

    write_folder(vocab, config, tokenizer);
    assert_null(tokenizer_open(folder, &status));
    if (!strstr(status.message, message))
        fail_msg("'%s' is not in '%s'", message, status.message);
}

static void refuses_vocabularies_that_are_none(void **state)
{
    (void)state;
    expect_refused("", NULL, NULL, "vocab.txt: is empty, not a vocab.txt");
    expect_refused("[UNK]\n[CLS]\n[SEP]\na\nb\na\n", NULL, NULL,
                   "vocab.txt: tokens 3 and 5 are the same");
    expect_refused("[UNK]\n\n[CLS]\n", NULL, NULL, "vocab.txt: token 1 is empty");
    expect_refused("[UNK]\n\xff\n", NULL, NULL, "vocab.txt: token 1 is not UTF-8");
    expect_refused("[UNK]\n[CLS]\n", NULL, NULL, "vocab.txt: no piece '[SEP]'");
    expect_refused(NULL, NULL, NULL, "no tokenizer in this folder");
}

static void refuses_a_chat_template_beyond_all_bounds(void **state)
{
    static char large[(1 << 20) + 2];

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    write_text(folder, "chat_template.jinja", large);
    expect_refused(VOCAB, NULL, NULL,
                   "chat_template.jinja: 1048577 bytes, at most 1048576 are read");
    remove_file(folder, "chat_template.jinja");
}

static void refuses_other_tokenizers_by_name(void **state)
{
    (void)state;
    expect_refused(VOCAB, NULL, "{}", "tokenizer.json: version: missing");
    expect_refused(VOCAB, "{\"tokenizer_class\":\"MPNetTokenizer\"}", NULL,
                   "tokenizer_class 'MPNetTokenizer' is not known");
    expect_refused(VOCAB, "{\"do_lower_case\":1}", NULL, "do_lower_case");
    expect_refused(VOCAB, "{\"cls_token\":7}", NULL,
                   "tokenizer_config.json: cls_token: must be a string or a token");
    expect_refused(VOCAB, "[]", NULL, "tokenizer_config.json: must be an object");
    expect_refused(VOCAB, NULL, "[]", "tokenizer.json: must be an object");
}

static void refuses_added_tokens_that_match_otherwise(void **state)
{
    (void)state;
    expect_refused(VOCAB, "{\"added_tokens_decoder\":{\"4\":{\"content\":\"[SEP]\"}}}", NULL,
                   "token 4 is not that of vocab.txt");
    expect_refused(VOCAB, "{\"added_tokens_decoder\":{\"x\":{}}}", NULL,
                   "added_tokens_decoder: must be tokens by id");
    expect_refused(VOCAB,
                   "{\"added_tokens_decoder\":{\"5\":{\"content\":\"cough\",\"normalized\":true}}}",
                   NULL, "token 5: 'normalized' is not known with vocab.txt");
}

static void refuses_files_that_hold_another_kind(void **state)
{
    static const char sentencepiece[] = "\x0A\x0E\x0A\x05<unk>";
    struct status status = {0};
    struct buf path = {0};

    (void)state;
    write_file(folder, "tokenizer.model", sentencepiece, sizeof(sentencepiece) - 1);
    buf_printf(&path, "%s/tokenizer.model", folder);
    assert_null(tokenizer_open(path.data, &status));
    assert_non_null(
        strstr(status.message, "tokenizer.model: field 1: needs 14 bytes, but 7 are left"));
    write_text(folder, "tokenizer.model", "{\"model\":{}}");
    assert_null(tokenizer_open(path.data, &status));
    assert_non_null(strstr(status.message, "tokenizer.model: version: missing"));
    write_text(folder, "tokenizer.model", "a poem\n");
    assert_null(tokenizer_open(path.data, &status));
    assert_non_null(strstr(status.message, "neither GGUF nor a tokenizer.json or vocab.txt"));
    buf_reset(&path);
    buf_printf(&path, "%s/nothing", folder);
    assert_null(tokenizer_open(path.data, &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
    buf_release(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_berts_own_options_without_a_configuration),
        cmocka_unit_test(reads_its_options_from_tokenizer_config),
        cmocka_unit_test(takes_tokenizer_json_first_but_not_its_truncation),
        cmocka_unit_test(lets_the_configuration_of_a_bert_win),
        cmocka_unit_test(counts_the_length_of_a_word_in_characters),
        cmocka_unit_test(puts_marks_in_canonical_order),
        cmocka_unit_test(takes_special_tokens_by_the_names_of_the_configuration),
        cmocka_unit_test(takes_the_chat_template_from_the_configuration_or_its_own_file),
        cmocka_unit_test(reads_a_bare_vocab_txt_with_any_line_ends),
        cmocka_unit_test(decodes_words_with_spaces_between),
        cmocka_unit_test(refuses_vocabularies_that_are_none),
        cmocka_unit_test(refuses_a_chat_template_beyond_all_bounds),
        cmocka_unit_test(refuses_other_tokenizers_by_name),
        cmocka_unit_test(refuses_added_tokens_that_match_otherwise),
        cmocka_unit_test(refuses_files_that_hold_another_kind),
    };

    return cmocka_run_group_tests_name("tokenizer_folder", tests, make_test_folder,
                                       remove_test_folder);
}
