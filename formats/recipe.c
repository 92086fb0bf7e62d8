#include "formats/recipe.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/suggest.h"
#include "formats/yaml_tree.h"

enum { MAX_N = 64, MAX_STOP = 16, MAX_TOKENS = 1 << 20 };

typedef bool read_key(struct recipe *recipe, const struct yaml_tree *tree,
                      const struct yaml_node *node, struct status *status);

/* The text of a prompt or message: a mistake within it is told with the line of its key. */
static bool read_template(struct prompt_template *template, const struct yaml_tree *tree,
                          const struct yaml_node *node, struct status *status)
{
    const char *text;
    struct status why;

    if (!yaml_tree_string(tree, node, &text, status))
        return false;
    if (!prompt_template_parse(template, text, &why))
        return yaml_tree_fail(tree, node, status, "%s", why.message);
    return true;
}

static bool read_prompt(struct recipe *recipe, const struct yaml_tree *tree,
                        const struct yaml_node *node, struct status *status)
{
    recipe->has_prompt = true;
    return read_template(&recipe->prompt, tree, node, status);
}

static bool read_role(struct recipe_message *message, const struct yaml_tree *tree,
                      const struct yaml_node *node, struct status *status)
{
    const char *role;

    if (!yaml_tree_string(tree, node, &role, status))
        return false;
    if (strcmp(role, "system") != 0 && strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0)
        return yaml_tree_fail(tree, node, status, "must be system, user or assistant");
    message->role = memory_string(role, strlen(role));
    return true;
}

static bool read_message(struct recipe_message *message, const struct yaml_tree *tree,
                         const struct yaml_node *node, struct status *status)
{
    if (node->kind != YAML_TREE_MAPPING || node->n_children != 2 || !yaml_tree_find(node, "role") ||
        !yaml_tree_find(node, "content"))
        return yaml_tree_fail(tree, node, status, "a message has a role and a content");
    return read_role(message, tree, yaml_tree_find(node, "role"), status) &&
           read_template(&message->content, tree, yaml_tree_find(node, "content"), status);
}

static bool read_messages(struct recipe *recipe, const struct yaml_tree *tree,
                          const struct yaml_node *node, struct status *status)
{
    if (node->kind != YAML_TREE_SEQUENCE || node->n_children == 0)
        return yaml_tree_fail(tree, node, status, "must be a list of messages");
    recipe->messages = memory_zeroed(node->n_children, sizeof(*recipe->messages));
    recipe->n_messages = node->n_children;
    for (size_t i = 0; i < node->n_children; i++) {
        if (!read_message(&recipe->messages[i], tree, &node->children[i], status))
            return false;
    }
    return true;
}

static bool read_n(struct recipe *recipe, const struct yaml_tree *tree,
                   const struct yaml_node *node, struct status *status)
{
    return yaml_tree_int(tree, node, 1, MAX_N, &recipe->n, status);
}

static bool read_max_length(struct recipe *recipe, const struct yaml_tree *tree,
                            const struct yaml_node *node, struct status *status)
{
    return yaml_tree_int(tree, node, 1, INT_MAX, &recipe->max_length, status);
}

static bool read_cut(struct recipe *recipe, const struct yaml_tree *tree,
                     const struct yaml_node *node, struct status *status)
{
    const char *name;

    free(recipe->cut);
    recipe->cut = NULL;
    if (yaml_tree_is_null(node))
        return true;
    if (!yaml_tree_string(tree, node, &name, status))
        return false;
    recipe->cut = memory_string(name, strlen(name));
    return true;
}

static bool read_greedy(struct recipe *recipe, const struct yaml_tree *tree,
                        const struct yaml_node *node, struct status *status)
{
    return yaml_tree_bool(tree, node, &recipe->greedy, status);
}

static bool read_temperature(struct recipe *recipe, const struct yaml_tree *tree,
                             const struct yaml_node *node, struct status *status)
{
    return yaml_tree_double(tree, node, 0, 100, &recipe->temperature, status);
}

static bool read_top_k(struct recipe *recipe, const struct yaml_tree *tree,
                       const struct yaml_node *node, struct status *status)
{
    return yaml_tree_int(tree, node, 0, INT_MAX, &recipe->top_k, status);
}

static bool read_top_p(struct recipe *recipe, const struct yaml_tree *tree,
                       const struct yaml_node *node, struct status *status)
{
    return yaml_tree_double(tree, node, 0, 1, &recipe->top_p, status);
}

static bool read_min_p(struct recipe *recipe, const struct yaml_tree *tree,
                       const struct yaml_node *node, struct status *status)
{
    return yaml_tree_double(tree, node, 0, 1, &recipe->min_p, status);
}

static bool read_max_tokens(struct recipe *recipe, const struct yaml_tree *tree,
                            const struct yaml_node *node, struct status *status)
{
    return yaml_tree_int(tree, node, 1, MAX_TOKENS, &recipe->max_tokens, status);
}

static bool read_stop(struct recipe *recipe, const struct yaml_tree *tree,
                      const struct yaml_node *node, struct status *status)
{
    if (node->kind != YAML_TREE_SEQUENCE || node->n_children > MAX_STOP)
        return yaml_tree_fail(tree, node, status, "must be a list of at most %d strings", MAX_STOP);
    recipe->stop = memory_zeroed(node->n_children, sizeof(*recipe->stop));
    for (size_t i = 0; i < node->n_children; i++) {
        const char *text;

        if (!yaml_tree_string(tree, &node->children[i], &text, status))
            return false;
        if (text[0] == '\0')
            return yaml_tree_fail(tree, node, status, "an empty string would stop at once");
        recipe->stop[recipe->n_stop++] = memory_string(text, strlen(text));
    }
    return true;
}

static bool read_parse(struct recipe *recipe, const struct yaml_tree *tree,
                       const struct yaml_node *node, struct status *status)
{
    const char *how;

    if (!yaml_tree_string(tree, node, &how, status))
        return false;
    if (strcmp(how, "lines") == 0)
        recipe->parse = RECIPE_PARSE_LINES;
    else if (strcmp(how, "none") == 0)
        recipe->parse = RECIPE_PARSE_NONE;
    else
        return yaml_tree_fail(tree, node, status, "must be lines or none");
    return true;
}

static bool read_makes(struct recipe *recipe, const struct yaml_tree *tree,
                       const struct yaml_node *node, struct status *status)
{
    const char *name;

    if (!yaml_tree_string(tree, node, &name, status))
        return false;
    if (name[0] == '\0' || strcmp(name, "id") == 0 || strcmp(name, "error") == 0 ||
        strcmp(name, "generation") == 0 || strcmp(name, "generations") == 0)
        return yaml_tree_fail(tree, node, status, "'%.64s' is not a member that can be made", name);
    recipe->makes = memory_string(name, strlen(name));
    return true;
}

static const struct {
    const char *key;
    read_key *read;
} keys[] = {
    {"prompt", read_prompt},
    {"messages", read_messages},
    {"n", read_n},
    {"max_length", read_max_length},
    {"cut", read_cut},
    {"greedy", read_greedy},
    {"temperature", read_temperature},
    {"top_k", read_top_k},
    {"top_p", read_top_p},
    {"min_p", read_min_p},
    {"max_tokens", read_max_tokens},
    {"stop", read_stop},
    {"parse", read_parse},
    {"makes", read_makes},
};
enum { N_KEYS = sizeof(keys) / sizeof(keys[0]) };

static bool fail_unknown(const struct yaml_tree *tree, const struct yaml_node *node,
                         struct status *status)
{
    const char *names[N_KEYS];
    const char *near;

    for (size_t i = 0; i < N_KEYS; i++)
        names[i] = keys[i].key;
    near = suggest(node->key, names, N_KEYS);
    if (near)
        return yaml_tree_fail(tree, node, status, "unknown key; did you mean '%s'?", near);
    return yaml_tree_fail(tree, node, status, "unknown key");
}

static bool read_keys(struct recipe *recipe, const struct yaml_tree *tree, struct status *status)
{
    if (tree->root.kind != YAML_TREE_MAPPING)
        return yaml_tree_fail(tree, &tree->root, status, "a recipe is a list of 'key: value'");
    for (size_t i = 0; i < tree->root.n_children; i++) {
        const struct yaml_node *node = &tree->root.children[i];
        size_t k = 0;

        while (k < N_KEYS && strcmp(keys[k].key, node->key) != 0)
            k++;
        if (k == N_KEYS)
            return fail_unknown(tree, node, status);
        if (!keys[k].read(recipe, tree, node, status))
            return false;
    }
    return true;
}

static bool places(const struct recipe *recipe, const char *member)
{
    for (size_t i = 0; i < recipe->n_messages; i++) {
        if (prompt_template_places(&recipe->messages[i].content, member))
            return true;
    }
    return recipe->has_prompt && prompt_template_places(&recipe->prompt, member);
}

/* What no key alone can tell. */
static bool check(struct recipe *recipe, const struct yaml_tree *tree, struct status *status)
{
    const struct yaml_node *root = &tree->root;
    const struct yaml_node *cut = yaml_tree_find(root, "cut");

    if (recipe->has_prompt == (recipe->n_messages > 0))
        return yaml_tree_fail(tree, root, status, "needs either 'prompt' or 'messages'");
    if (recipe->cut && !places(recipe, recipe->cut)) {
        if (cut)
            return yaml_tree_fail(tree, cut, status, "member '%.64s' has no place in the prompt",
                                  recipe->cut);
        free(recipe->cut); /* the default, in a recipe that places no query */
        recipe->cut = NULL;
    }
    if (recipe->parse == RECIPE_PARSE_NONE && recipe->makes)
        return yaml_tree_fail(tree, yaml_tree_find(root, "makes"), status,
                              "needs 'parse: lines', else nothing makes it");
    if (recipe->parse != RECIPE_PARSE_NONE && !recipe->makes)
        recipe->makes = memory_string("rationales", strlen("rationales"));
    return true;
}

static bool read_tree(struct recipe *recipe, const struct yaml_tree *tree, struct status *status)
{
    *recipe = (struct recipe){
        .name = memory_string(tree->name, strlen(tree->name)),
        .cut = memory_string("query", strlen("query")),
        .n = 3,
        .temperature = 0.7, /* the model card's; top_k is what transformers applies unasked */
        .top_k = 50,
        .top_p = 1,
        .max_tokens = 256,
    };
    if (read_keys(recipe, tree, status) && check(recipe, tree, status))
        return true;
    recipe_release(recipe);
    return false;
}

bool recipe_parse_yaml(struct recipe *recipe, struct text yaml, const char *name,
                       struct status *status)
{
    struct yaml_tree tree;
    bool ok;

    *recipe = (struct recipe){0};
    if (!yaml_tree_parse(&tree, yaml, name, status))
        return false;
    ok = read_tree(recipe, &tree, status);
    recipe->hash = hash64(yaml.ptr, yaml.len);
    yaml_tree_release(&tree);
    return ok;
}

bool recipe_read(struct recipe *recipe, const char *path, struct status *status)
{
    struct yaml_tree tree;
    bool ok;

    *recipe = (struct recipe){0};
    if (!yaml_tree_read(&tree, path, status))
        return false;
    ok = read_tree(recipe, &tree, status);
    yaml_tree_release(&tree);
    return ok;
}

void recipe_release(struct recipe *recipe)
{
    prompt_template_release(&recipe->prompt);
    for (size_t i = 0; i < recipe->n_messages; i++) {
        free(recipe->messages[i].role);
        prompt_template_release(&recipe->messages[i].content);
    }
    for (size_t i = 0; i < recipe->n_stop; i++)
        free(recipe->stop[i]);
    free(recipe->messages);
    free(recipe->stop);
    free(recipe->name);
    free(recipe->cut);
    free(recipe->makes);
    *recipe = (struct recipe){0};
}

/* -- what it reads -- */

static bool starts(struct text whole, struct text part)
{
    return whole.len >= part.len && memcmp(whole.ptr, part.ptr, part.len) == 0 &&
           (whole.len == part.len || whole.ptr[part.len] == '.');
}

/* {a.b} reads a and a.b; {each a} reads a and the members of its items. */
static bool part_reads(const struct prompt_part *part, struct text member)
{
    switch (part->kind) {
    case PROMPT_PART_MEMBER:
        return starts(part->text, member);
    case PROMPT_PART_EACH:
        return starts(member, part->text);
    case PROMPT_PART_SELECTED:
        return starts(member, text_of("passages")) || starts(member, text_of("evidence"));
    default:
        return false;
    }
}

static bool template_reads(const struct prompt_template *template, struct text member)
{
    for (size_t i = 0; i < template->n_parts; i++) {
        if (part_reads(&template->parts[i], member))
            return true;
    }
    return false;
}

bool recipe_reads(const struct recipe *recipe, const char *member)
{
    const struct text name = text_of(member);

    if (recipe->has_prompt && template_reads(&recipe->prompt, name))
        return true;
    for (size_t i = 0; i < recipe->n_messages; i++) {
        if (template_reads(&recipe->messages[i].content, name))
            return true;
    }
    return false;
}
