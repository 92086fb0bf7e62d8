/* tokenizer_config.json and chat_template.jinja: which template is the folder's, and what is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "formats/tokenizer_config.h"

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    make_folder(folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_file(folder, "tokenizer_config.json");
    remove_file(folder, "chat_template.jinja");
    return rmdir(folder);
}

static void assert_template(const char *config, const char *template)
{
    struct tokenizer_config read;
    struct status status;

    write_text(folder, "tokenizer_config.json", config);
    if (!tokenizer_config_read(&read, folder, &status))
        fail_msg("%s", status.message);
    assert_true(text_is(buf_text(&read.chat_template), template));
    tokenizer_config_release(&read);
}

static void takes_the_default_of_several_templates(void **state)
{
    (void)state;
    assert_template("{}", "");
    assert_template("{\"chat_template\":\"one\"}", "one");
    assert_template("{\"chat_template\":[{\"name\":\"rag\",\"template\":\"a\"},"
                    "{\"name\":\"default\",\"template\":\"b\"}]}",
                    "b");
    assert_template("{\"chat_template\":[{\"name\":\"rag\",\"template\":\"a\"}]}", "");
    write_text(folder, "chat_template.jinja", "file");
    assert_template("{\"chat_template\":\"one\"}", "file");
    remove_file(folder, "chat_template.jinja");
}

static void assert_refused(const char *config, const char *message)
{
    struct tokenizer_config read;
    struct status status = {0};
    struct buf wanted = {0};

    write_text(folder, "tokenizer_config.json", config);
    buf_printf(&wanted, "%s/%s", folder, message);
    assert_false(tokenizer_config_read(&read, folder, &status));
    assert_string_equal(status.message, wanted.data);
    assert_int_equal(status.code, STATUS_CONFIG);
    tokenizer_config_release(&read);
    buf_release(&wanted);
}

static void refuses_each_lie_with_its_own_message(void **state)
{
    struct buf large = {0};

    (void)state;
    assert_refused("[]", "tokenizer_config.json: must be an object");
    assert_refused("{\"tokenizer_class\":1}",
                   "tokenizer_config.json: tokenizer_class: must be a string, is a number");
    assert_refused("{\"do_lower_case\":\"yes\"}",
                   "tokenizer_config.json: do_lower_case: must be true or false, is a string");
    assert_refused("{\"add_bos_token\":1}",
                   "tokenizer_config.json: add_bos_token: must be true or false, is a number");
    while (large.len <= 1 << 20)
        buf_append_string(&large, "{# a long template #}");
    write_file(folder, "chat_template.jinja", large.data, 1048577);
    assert_refused("{}", "chat_template.jinja: 1048577 bytes, at most 1048576 are read");
    remove_file(folder, "chat_template.jinja");
    buf_release(&large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_default_of_several_templates),
        cmocka_unit_test(refuses_each_lie_with_its_own_message),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
