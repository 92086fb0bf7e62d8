/* What of YAML is read, and what is refused with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "formats/yaml_tree.h"

static struct yaml_tree tree;
static struct status status;

static bool parse(const char *yaml)
{
    return yaml_tree_parse(&tree, text_of(yaml), "f.yaml", &status);
}

static void assert_refused(const char *yaml, const char *message)
{
    assert_false(parse(yaml));
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_string_equal(status.message, message);
    assert_null(tree.name); /* nothing is left behind */
}

static void reads_mappings_sequences_and_scalars_with_their_lines(void **state)
{
    const struct yaml_node *list;

    (void)state;
    assert_true(parse("# comment\na: 1\nlist:\n  - x\n  - \"1\"\nmap: {k: v}\n"));
    assert_int_equal(tree.root.kind, YAML_TREE_MAPPING);
    assert_int_equal(tree.root.n_children, 3);
    assert_int_equal(yaml_tree_find(&tree.root, "a")->line, 2);
    list = yaml_tree_find(&tree.root, "list");
    assert_int_equal(list->kind, YAML_TREE_SEQUENCE);
    assert_int_equal(list->n_children, 2);
    assert_true(list->children[0].plain);
    assert_false(list->children[1].plain);
    assert_int_equal(list->children[1].line, 5);
    assert_string_equal(yaml_tree_find(yaml_tree_find(&tree.root, "map"), "k")->value, "v");
    assert_null(yaml_tree_find(&tree.root, "b"));
    yaml_tree_release(&tree);
}

static void reads_an_empty_file_as_an_empty_mapping(void **state)
{
    (void)state;
    assert_true(parse(""));
    assert_int_equal(tree.root.kind, YAML_TREE_MAPPING);
    assert_int_equal(tree.root.n_children, 0);
    yaml_tree_release(&tree);
    assert_true(parse("# nothing\n"));
    yaml_tree_release(&tree);
}

static void refuses_what_makes_small_files_large_or_hides_things(void **state)
{
    (void)state;
    assert_refused("a: &x 1\n", "f.yaml:1: anchors are not allowed");
    assert_refused("a: 1\nb: *x\n", "f.yaml:2: aliases are not allowed");
    assert_refused("a: !!str 1\n", "f.yaml:1: tags are not allowed");
    assert_refused("a: &x [1]\n", "f.yaml:1: anchors are not allowed");
    assert_refused("a: &x {b: 1}\n", "f.yaml:1: anchors are not allowed");
    assert_refused("&k a: 1\n", "f.yaml:1: anchors are not allowed");
    assert_refused("a: 1\nb: 2\na: 3\n", "f.yaml:3: key 'a' stands here twice");
    assert_refused("? [a]\n: 1\n", "f.yaml:1: a key must be a word");
    assert_refused("a: \"x\\0y\"\n", "f.yaml:1: NUL character in a string");
    assert_refused("a: 1\n---\nb: 2\n", "f.yaml:2: a second document begins here");
    assert_refused("%YAML 1.1\n---\na: 1\n", "f.yaml:1: directives are not allowed");
}

#define BAD(bytes, message)                                                                        \
    {                                                                                              \
        {bytes, sizeof(bytes) - 1}, message                                                        \
    }

static const struct {
    struct text yaml;
    const char *message;
} bad[] = {
    BAD("a: [1\n", "f.yaml:2: did not find expected ',' or ']'"),
    BAD("a: {b: 1\n", "f.yaml:2: did not find expected ',' or '}'"),
    BAD("a: ]\n", "f.yaml:1: did not find expected node content"),
    BAD("\tx: 1\n", "f.yaml:1: found character that cannot start any token"),
    BAD("a: @x\n", "f.yaml:1: found character that cannot start any token"),
    BAD("a: b: c\n", "f.yaml:1: mapping values are not allowed in this context"),
    BAD("a: 1\n b: 2\n", "f.yaml:2: mapping values are not allowed in this context"),
    BAD("a: 'x\n", "f.yaml:2: found unexpected end of stream"),
    BAD("a: \"x\\q\"\n", "f.yaml:1: found unknown escape character"),
    BAD("a: \"\\ud800\"\n", "f.yaml:1: found invalid Unicode character escape code"),
    BAD("- a\nb: 1\n", "f.yaml:2: did not find expected '-' indicator"),
    BAD("a:\n  - 1\n - 2\n", "f.yaml:3: did not find expected key"),
    BAD("a: |9x\n  t\n", "f.yaml:1: did not find expected comment or line break"),
    BAD("a: |\n\tt\n", "f.yaml:2: found a tab character where an indentation space is expected"),
    BAD("%YAML 9.9\n---\na: 1", "f.yaml:1: found incompatible YAML document"),
    BAD("a: 1\n...\nb: 2\n", "f.yaml:3: did not find expected <document start>"),
    BAD("a: x\0y\n", "f.yaml: byte 5: control characters are not allowed"),
    BAD("a: \xFF\n", "f.yaml: byte 4: invalid leading UTF-8 octet"),
    BAD("a: \xC3", "f.yaml: byte 4: incomplete UTF-8 octet sequence"),
    BAD("a: \xC0\x80\n", "f.yaml: byte 4: invalid length of a UTF-8 sequence"),
    BAD("a: \xED\xA0\x80\n", "f.yaml: byte 4: invalid Unicode character"),
    BAD("<html><head>\n<title>x: y</title>", "f.yaml:2: mapping values are not allowed in this "
                                             "context"),
};

static void refuses_what_is_not_yaml_with_a_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(yaml_tree_parse(&tree, bad[i].yaml, "f.yaml", &status));
        assert_int_equal(status.code, STATUS_CONFIG);
        assert_string_equal(status.message, bad[i].message);
        assert_null(tree.name);
    }
}

static void refuses_depth_over_16_and_size_over_1_mib(void **state)
{
    struct buf yaml = {0};

    (void)state;
    for (int i = 0; i < 16; i++)
        buf_append_char(&yaml, '[');
    for (int i = 0; i < 16; i++)
        buf_append_char(&yaml, ']');
    assert_true(parse(yaml.data));
    yaml_tree_release(&tree);
    buf_reset(&yaml);
    for (int i = 0; i < 17; i++)
        buf_append_char(&yaml, '[');
    assert_refused(yaml.data, "f.yaml:1: nested too deeply");
    buf_reset(&yaml);
    while (yaml.len <= 1 << 20)
        buf_append_string(&yaml, "# filling\n");
    assert_refused(yaml.data, "f.yaml: more than 1048576 bytes");
    buf_reset(&yaml);
    while (yaml.len < 100000)
        buf_append_string(&yaml, "- x\n");
    assert_refused(yaml.data, "f.yaml:4096: too many values");
    buf_release(&yaml);
}

static void cut_anywhere_it_is_read_or_refused(void **state)
{
    static const char yaml[] = "prompt: |\n  a\n  {b}\nlist: [x, \"y\\n\", {k: 'v'}]\nn: 3 # c\n";

    (void)state;
    for (size_t n = 0; n < sizeof(yaml); n++) {
        char *exact = malloc(n > 0 ? n : 1);

        memcpy(exact, yaml, n);
        if (yaml_tree_parse(&tree, (struct text){exact, n}, "cut", &status))
            yaml_tree_release(&tree);
        free(exact);
    }
}

static void values_have_the_type_that_is_asked_for(void **state)
{
    const struct yaml_node *n;
    const char *s;
    double d;
    bool b;
    int i;

    (void)state;
    assert_true(parse("i: 5\nd: 0.5\nb: true\ns: \"5\"\nnothing:\nlist: []\n"));
    n = yaml_tree_find(&tree.root, "i");
    assert_true(yaml_tree_int(&tree, n, 1, 9, &i, &status) && i == 5);
    assert_false(yaml_tree_int(&tree, n, 6, 9, &i, &status));
    assert_string_equal(status.message, "f.yaml:1: key 'i': must be from 6 to 9");
    assert_false(yaml_tree_bool(&tree, n, &b, &status));
    assert_string_equal(status.message, "f.yaml:1: key 'i': must be true or false");
    n = yaml_tree_find(&tree.root, "d");
    assert_true(yaml_tree_double(&tree, n, 0, 1, &d, &status) && d == 0.5);
    assert_false(yaml_tree_double(&tree, n, 1, 2, &d, &status));
    assert_false(yaml_tree_int(&tree, n, 0, 9, &i, &status));
    assert_string_equal(status.message, "f.yaml:2: key 'd': must be a whole number");
    n = yaml_tree_find(&tree.root, "b");
    assert_true(yaml_tree_bool(&tree, n, &b, &status) && b);
    n = yaml_tree_find(&tree.root, "s"); /* quoted: a string, whatever it looks like */
    assert_false(yaml_tree_int(&tree, n, 0, 9, &i, &status));
    assert_true(yaml_tree_string(&tree, n, &s, &status));
    assert_string_equal(s, "5");
    assert_false(yaml_tree_string(&tree, yaml_tree_find(&tree.root, "nothing"), &s, &status));
    assert_false(yaml_tree_string(&tree, yaml_tree_find(&tree.root, "list"), &s, &status));
    assert_false(yaml_tree_bool(&tree, yaml_tree_find(&tree.root, "list"), &b, &status));
    yaml_tree_release(&tree);
}

static void a_missing_file_is_no_input(void **state)
{
    (void)state;
    assert_false(yaml_tree_read(&tree, "nosuch/file.yaml", &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
    assert_false(yaml_tree_read(&tree, "/", &status)); /* a folder can be opened, not read */
    assert_int_equal(status.code, STATUS_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_mappings_sequences_and_scalars_with_their_lines),
        cmocka_unit_test(reads_an_empty_file_as_an_empty_mapping),
        cmocka_unit_test(refuses_what_makes_small_files_large_or_hides_things),
        cmocka_unit_test(refuses_what_is_not_yaml_with_a_place),
        cmocka_unit_test(refuses_depth_over_16_and_size_over_1_mib),
        cmocka_unit_test(cut_anywhere_it_is_read_or_refused),
        cmocka_unit_test(values_have_the_type_that_is_asked_for),
        cmocka_unit_test(a_missing_file_is_no_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
