/* Recipes: what a file may say, and where a mistake in it is reported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "formats/recipe.h"

static struct recipe recipe;
static struct status status;

static bool parse(const char *yaml)
{
    return recipe_parse_yaml(&recipe, text_of(yaml), "r.yaml", &status);
}

static void assert_refused(const char *yaml, const char *message)
{
    assert_false(parse(yaml));
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_string_equal(status.message, message);
    assert_null(recipe.name); /* nothing is left behind */
}

static void the_least_recipe_has_the_cards_defaults(void **state)
{
    (void)state;
    assert_true(parse("prompt: \"{query}\""));
    assert_true(recipe.has_prompt);
    assert_int_equal(recipe.n, 3);
    assert_int_equal(recipe.max_length, 0);
    assert_string_equal(recipe.cut, "query");
    assert_false(recipe.greedy);
    assert_true(recipe.temperature == 0.7 && recipe.top_p == 1.0 && recipe.min_p == 0.0);
    assert_int_equal(recipe.top_k, 50);
    assert_int_equal(recipe.max_tokens, 256);
    assert_int_equal(recipe.n_stop, 0);
    assert_int_equal(recipe.parse, RECIPE_PARSE_NONE);
    assert_null(recipe.makes);
    recipe_release(&recipe);
}

static void reads_every_key(void **state)
{
    (void)state;
    assert_true(parse("messages:\n"
                      "  - {role: system, content: Be brief.}\n"
                      "  - {role: user, content: \"{topic}?\"}\n"
                      "n: 5\nmax_length: 100\ncut: topic\ngreedy: true\ntemperature: 0\n"
                      "top_k: 0\ntop_p: 0.5\nmin_p: 0.1\nmax_tokens: 7\nstop: [\"a\", \"\\n\"]\n"
                      "parse: lines\nmakes: checks\n"));
    assert_int_equal(recipe.n_messages, 2);
    assert_string_equal(recipe.messages[0].role, "system");
    assert_true(text_is(recipe.messages[1].content.parts[0].text, "topic"));
    assert_int_equal(recipe.n, 5);
    assert_int_equal(recipe.max_length, 100);
    assert_string_equal(recipe.cut, "topic");
    assert_true(recipe.greedy);
    assert_int_equal(recipe.max_tokens, 7);
    assert_int_equal(recipe.n_stop, 2);
    assert_string_equal(recipe.stop[1], "\n");
    assert_int_equal(recipe.parse, RECIPE_PARSE_LINES);
    assert_string_equal(recipe.makes, "checks");
    recipe_release(&recipe);
}

static void what_parses_lines_makes_rationales_unless_it_says_otherwise(void **state)
{
    (void)state;
    assert_true(parse("prompt: \"{query}\"\nparse: lines"));
    assert_string_equal(recipe.makes, "rationales");
    recipe_release(&recipe);
}

static void refuses_unknown_keys_wrong_types_and_ranges_with_line_and_key(void **state)
{
    (void)state;
    assert_refused("prompt: x\ntop-k: 5", "r.yaml:2: key 'top-k': unknown key; did you mean "
                                          "'top_k'?");
    assert_refused("prompt: x\ncolour: red", "r.yaml:2: key 'colour': unknown key");
    assert_refused("prompt: x\ntop_k: many", "r.yaml:2: key 'top_k': must be a whole number");
    assert_refused("prompt: x\ntop_k: \"5\"", "r.yaml:2: key 'top_k': must be a whole number");
    assert_refused("prompt: x\ntop_p: 1.5", "r.yaml:2: key 'top_p': must be from 0 to 1");
    assert_refused("prompt: x\ntemperature: [1]", "r.yaml:2: key 'temperature': must be a number");
    assert_refused("prompt: x\ngreedy: yes", "r.yaml:2: key 'greedy': must be true or false");
    assert_refused("prompt: [x]", "r.yaml:1: key 'prompt': must be a string");
    assert_refused("n: 0\nprompt: x", "r.yaml:1: key 'n': must be from 1 to 64");
    assert_refused("prompt: x\nstop: a",
                   "r.yaml:2: key 'stop': must be a list of at most 16 strings");
    assert_refused("prompt: x\nstop: [\"\"]",
                   "r.yaml:2: key 'stop': an empty string would stop at once");
    assert_refused("prompt: x\nparse: json", "r.yaml:2: key 'parse': must be lines or none");
    assert_refused("messages: []", "r.yaml:1: key 'messages': must be a list of messages");
    assert_refused("messages:\n  - role: robot\n    content: x",
                   "r.yaml:2: key 'role': must be system, user or assistant");
    assert_refused("messages:\n  - role: user", "r.yaml:2: a message has a role and a content");
    assert_refused("- x", "r.yaml:1: a recipe is a list of 'key: value'");
}

static void refuses_what_does_not_fit_together(void **state)
{
    (void)state;
    assert_refused("n: 3", "r.yaml:1: needs either 'prompt' or 'messages'");
    assert_refused("prompt: x\nmessages:\n  - {role: user, content: x}",
                   "r.yaml:1: needs either 'prompt' or 'messages'");
    assert_refused("prompt: \"{query}\"\ncut: text",
                   "r.yaml:2: key 'cut': member 'text' has no place in the prompt");
    assert_refused("prompt: x\nmakes: y",
                   "r.yaml:2: key 'makes': needs 'parse: lines', else nothing makes it");
    assert_refused("prompt: x\nparse: lines\nmakes: generation",
                   "r.yaml:3: key 'makes': 'generation' is not a member that can be made");
}

static void cut_may_be_nothing(void **state)
{
    (void)state;
    assert_true(parse("prompt: \"{query}\"\ncut: null"));
    assert_null(recipe.cut);
    recipe_release(&recipe);
    assert_true(parse("prompt: no query here"));
    assert_null(recipe.cut);
    recipe_release(&recipe);
}

static void placeholders_are_members_lists_and_braces(void **state)
{
    const struct prompt_part *parts;

    (void)state;
    assert_true(parse("prompt: \"{{a} {n}{each passages}{number}. {item.text}{end}{x.y}\""));
    parts = recipe.prompt.parts;
    assert_int_equal(recipe.prompt.n_parts, 8);
    assert_true(text_is(parts[0].text, "{"));
    assert_true(text_is(parts[1].text, "a} "));
    assert_int_equal(parts[2].kind, PROMPT_PART_N);
    assert_int_equal(parts[3].kind, PROMPT_PART_EACH);
    assert_true(text_is(parts[3].text, "passages"));
    assert_int_equal(parts[3].end, 7);
    assert_int_equal(parts[4].kind, PROMPT_PART_NUMBER);
    assert_int_equal(parts[6].kind, PROMPT_PART_ITEM);
    assert_true(text_is(parts[6].text, "text"));
    assert_int_equal(parts[7].kind, PROMPT_PART_MEMBER);
    assert_true(text_is(parts[7].text, "x.y"));
    recipe_release(&recipe);
}

static void mistakes_in_placeholders_are_told_with_their_line(void **state)
{
    (void)state;
    assert_refused("n: 3\nprompt: |\n  one\n  {query\n",
                   "r.yaml:2: key 'prompt': line 2 of the text: '{' opens a placeholder that does "
                   "not end; '{{' is a brace");
    assert_refused("prompt: \"{}\"", "r.yaml:1: key 'prompt': line 1 of the text: {} names "
                                     "nothing");
    assert_refused("prompt: \"{item}\"", "r.yaml:1: key 'prompt': line 1 of the text: {item} "
                                         "outside of {each}");
    assert_refused("prompt: \"{end}\"", "r.yaml:1: key 'prompt': line 1 of the text: {end} "
                                        "without {each}");
    assert_refused("prompt: \"{each a}\"", "r.yaml:1: key 'prompt': line 1 of the text: {each a} "
                                           "has no {end}");
    assert_refused("prompt: \"{each a}{each b}{end}{end}\"",
                   "r.yaml:1: key 'prompt': line 1 of the text: {each} within {each}");
    assert_refused("prompt: \"{each}{end}\"", "r.yaml:1: key 'prompt': line 1 of the text: {each} "
                                              "names no list");
    assert_refused("prompt: \"{ query }\"", "r.yaml:1: key 'prompt': line 1 of the text: space at "
                                            "the edge of { query }");
}

static void read_shipped(const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/recipes/%s.yaml", MEDRAT_SOURCE_SHARE, name);
    if (!recipe_read(&recipe, path, &status))
        fail_msg("%s", status.message);
}

static void the_recipes_that_ship_are_as_documented(void **state)
{
    static const char *const with_rationales[] = {"rationales", "card", "rationales-chat"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        read_shipped(with_rationales[i]);
        assert_int_equal(recipe.n, 3);
        assert_int_equal(recipe.max_tokens, 256);
        assert_string_equal(recipe.cut, "query");
        assert_int_equal(recipe.parse, RECIPE_PARSE_LINES);
        assert_string_equal(recipe.makes, "rationales");
        recipe_release(&recipe);
    }
    read_shipped("rationales");
    assert_int_equal(recipe.max_length, 512);
    assert_true(recipe.temperature == 0.7 && recipe.top_k == 50);
    assert_int_equal(recipe.n_stop, 1);
    assert_string_equal(recipe.stop[0], "###");
    recipe_release(&recipe);
    read_shipped("raw");
    assert_int_equal(recipe.parse, RECIPE_PARSE_NONE);
    recipe_release(&recipe);
}

static void a_missing_recipe_is_no_input(void **state)
{
    (void)state;
    assert_false(recipe_read(&recipe, "nosuch.yaml", &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_recipe_has_the_cards_defaults),
        cmocka_unit_test(reads_every_key),
        cmocka_unit_test(what_parses_lines_makes_rationales_unless_it_says_otherwise),
        cmocka_unit_test(refuses_unknown_keys_wrong_types_and_ranges_with_line_and_key),
        cmocka_unit_test(refuses_what_does_not_fit_together),
        cmocka_unit_test(cut_may_be_nothing),
        cmocka_unit_test(placeholders_are_members_lists_and_braces),
        cmocka_unit_test(mistakes_in_placeholders_are_told_with_their_line),
        cmocka_unit_test(the_recipes_that_ship_are_as_documented),
        cmocka_unit_test(a_missing_recipe_is_no_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
