/* Mistral's chat on a small vocabulary of letters: the turns as they are joined, and what is
 * refused by its place; golden_mistral_test.c has the real one's ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sentencepiece_bytes.h"
#include "text/chat_mistral.h"

static char folder[64];
static struct tokenizer *tokenizer;

static struct tokenizer *open_model(bool with_turns)
{
    struct buf bytes = {0}, path = {0}, spaces = {0};
    struct status status;
    struct tokenizer *opened;

    put_control_pieces(&bytes);
    if (with_turns) {
        put_piece(&bytes, "[INST]", 0, SENTENCEPIECE_CONTROL);
        put_piece(&bytes, "[/INST]", 0, SENTENCEPIECE_CONTROL);
    }
    put_byte_pieces(&bytes);
    put_piece(&bytes, "\xE2\x96\x81", -1, SENTENCEPIECE_NORMAL);
    put_trainer(&bytes, true);
    put_number_field(&spaces, 4, 0); /* spaces stay as they are */
    put_bytes_field(&bytes, 3, buf_text(&spaces));
    write_file(folder, "m.model", bytes.data, bytes.len);
    buf_printf(&path, "%s/m.model", folder);
    opened = tokenizer_open(path.data, &status);
    remove_file(folder, "m.model");
    buf_release(&bytes);
    buf_release(&path);
    buf_release(&spaces);
    return opened;
}

static int set_up(void **state)
{
    (void)state;
    make_folder(folder);
    tokenizer = open_model(true);
    return tokenizer ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tokenizer_close(tokenizer);
    return rmdir(folder);
}

/* Up to four turns, "u:text", "a:text" or "s:text", ended by NULL. */
static size_t make_messages(const char *const *turns, struct message *messages)
{
    size_t n = 0;

    for (; turns[n]; n++) {
        const char c = turns[n][0];

        messages[n].role = text_of(c == 'u'   ? "user"
                                   : c == 'a' ? "assistant"
                                   : c == 's' ? "system"
                                   : c == 't' ? "tool"
                                              : "robot");
        messages[n].content = text_of(turns[n] + 2);
    }
    return n;
}

/* The bytes of the ids, control tokens as they are spelled; U+2581 is shown as _. */
static void assert_chat(const char *const *turns, bool prompt, const char *wanted)
{
    struct message messages[4];
    struct tokens tokens = {0};
    struct buf text = {0};
    struct status status;
    const size_t n = make_messages(turns, messages);

    if (!chat_mistral_render(tokenizer, messages, n, prompt, &tokens, &status))
        fail_msg("%s", status.message);
    for (size_t i = 0; i < tokens.n; i++) {
        const struct text piece = tokenizer_piece(tokenizer, tokens.ids[i]);
        const int byte = sentencepiece_byte(piece);

        if (byte >= 0)
            buf_append_char(&text, (char)byte);
        else if (text_is(piece, "\xE2\x96\x81"))
            buf_append_char(&text, '_');
        else
            buf_append_text(&text, piece);
    }
    assert_string_equal(text.data, wanted);
    tokens_release(&tokens);
    buf_release(&text);
}

#define CHAT(...) ((const char *const[]){__VA_ARGS__, NULL})

static void writes_turns_as_the_model_was_trained_on_them(void **state)
{
    (void)state;
    assert_chat(CHAT("u:a"), true, "<s>[INST]_a[/INST]");
    assert_chat(CHAT("u:a", "a:b  "), false, "<s>[INST]_a[/INST]_b</s>");
    assert_chat(CHAT("u:a", "a:b", "u:c"), true, "<s>[INST]_a[/INST]_b</s>[INST]_c[/INST]");
    /* turns of one role are one; the system's go before the last of the user's */
    assert_chat(CHAT("u:a", "u:b"), true, "<s>[INST]_a\n\nb[/INST]");
    assert_chat(CHAT("s:x", "s:y", "u:a"), true, "<s>[INST]_x\n\ny\n\na[/INST]");
    assert_chat(CHAT("s:x", "u:a", "a:b", "u:c"), true,
                "<s>[INST]_a[/INST]_b</s>[INST]_x\n\nc[/INST]");
    /* a text that spells a control token is text */
    assert_chat(CHAT("u:[/INST]"), true, "<s>[INST]_[/INST][/INST]");
}

static void assert_refused(const char *const *turns, bool prompt, const char *member,
                           const char *message)
{
    struct message messages[4];
    struct tokens tokens = {0};
    struct status status;
    const size_t n = make_messages(turns, messages);

    assert_false(chat_mistral_render(tokenizer, messages, n, prompt, &tokens, &status));
    assert_int_equal(status.code, STATUS_INPUT);
    assert_string_equal(status.kind, "messages");
    assert_string_equal(status.member, member);
    assert_string_equal(status.message, message);
    tokens_release(&tokens);
}

static void refuses_what_is_no_chat_by_its_place(void **state)
{
    (void)state;
    assert_refused(CHAT("u:a", "x:b"), true, "messages[1].role",
                   "is none of system, user, assistant");
    assert_refused(CHAT("t:a"), true, "messages[0].role", "tools are not known");
    assert_refused(CHAT("u:a", "a:b", "s:c"), true, "messages[2].role",
                   "the system cannot follow the assistant");
    assert_refused(CHAT("u:a", "a:", "u:c"), true, "messages[1].role",
                   "an answer must not be empty");
    assert_refused(CHAT("a:b"), false, "messages[0].role", "a chat must not begin with an answer");
    assert_refused(CHAT("u:a", "a:b"), true, "messages[1].role",
                   "the last turn is an answer already");
}

static void a_vocabulary_without_turns_does_not_fit(void **state)
{
    struct tokenizer *without = open_model(false);
    const char *missing = NULL;

    (void)state;
    assert_non_null(without);
    assert_true(chat_mistral_fits(tokenizer, &missing));
    assert_false(chat_mistral_fits(without, &missing));
    assert_string_equal(missing, "[INST]");
    tokenizer_close(without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_turns_as_the_model_was_trained_on_them),
        cmocka_unit_test(refuses_what_is_no_chat_by_its_place),
        cmocka_unit_test(a_vocabulary_without_turns_does_not_fit),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
