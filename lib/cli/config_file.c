#include "cli/config_file.h"

#include <string.h>

#include "base/suggest.h"
#include "cli/cli_value.h"
#include "formats/yaml_tree.h"

/* "max_length" is "max-length". */
static bool is_name(const char *key, const char *name)
{
    for (; *key && *name; key++, name++) {
        if (*key != *name && !(*key == '_' && *name == '-'))
            return false;
    }
    return *key == *name;
}

static const struct cli_option *find(const struct cli_tool *tool, const char *key)
{
    for (size_t i = 0; i < tool->n_options; i++) {
        if (tool->options[i].kind != CLI_HEADING && is_name(key, tool->options[i].name))
            return &tool->options[i];
    }
    return NULL;
}

static bool fail_unknown(const struct cli_tool *tool, const struct yaml_tree *tree,
                         const struct yaml_node *node, struct status *status)
{
    const char *names[CLI_MAX_OPTIONS];
    const char *near;
    size_t n = 0;

    for (size_t i = 0; i < tool->n_options; i++) {
        if (tool->options[i].kind != CLI_HEADING)
            names[n++] = tool->options[i].name;
    }
    near = suggest(node->key, names, n);
    if (near)
        return yaml_tree_fail(tree, node, status, "unknown key; did you mean '%s'?", near);
    return yaml_tree_fail(tree, node, status, "unknown key: %s has no such option", tool->name);
}

static bool is_number(enum cli_kind kind)
{
    return kind == CLI_INT || kind == CLI_UINT64 || kind == CLI_SIZE || kind == CLI_FLOAT;
}

static bool set_one(const struct cli_option *option, const struct yaml_tree *tree,
                    const struct yaml_node *node, struct cli_kept *kept, struct status *status)
{
    struct status why;
    const char *text;

    if (node->kind != YAML_TREE_SCALAR)
        return yaml_tree_fail(tree, node, status, "must be a single value");
    if (!yaml_tree_string(tree, node, &text, status))
        return false;
    if (is_number(option->kind) && !node->plain)
        return yaml_tree_fail(tree, node, status, "must be a number, without quotes");
    if (!cli_value_set(option, cli_kept_add(kept, text, strlen(text)), &why))
        return yaml_tree_fail(tree, node, status, "%s", why.message);
    return true;
}

static bool set(const struct cli_option *option, const struct yaml_tree *tree,
                const struct yaml_node *node, struct cli_kept *kept, struct status *status)
{
    bool yes;

    if (option->kind == CLI_FLAG || option->kind == CLI_SWITCH)
        return yaml_tree_bool(tree, node, &yes, status) &&
               cli_value_set(option, yes ? "true" : "false", status);
    if (option->kind != CLI_STRINGS || node->kind != YAML_TREE_SEQUENCE)
        return set_one(option, tree, node, kept, status);
    for (size_t i = 0; i < node->n_children; i++) {
        if (!set_one(option, tree, &node->children[i], kept, status))
            return false;
    }
    return true;
}

static bool set_all(const struct cli_tool *tool, const struct yaml_tree *tree,
                    enum cli_source *sources, struct cli_kept *kept, struct status *status)
{
    if (tree->root.kind != YAML_TREE_MAPPING)
        return yaml_tree_fail(tree, &tree->root, status,
                              "a configuration is a list of 'option: value'");
    for (size_t i = 0; i < tree->root.n_children; i++) {
        const struct yaml_node *node = &tree->root.children[i];
        const struct cli_option *option = find(tool, node->key);

        if (!option)
            return fail_unknown(tool, tree, node, status);
        if (sources[option - tool->options] == CLI_FROM_FILE)
            return yaml_tree_fail(tree, node, status, "option '--%s' was set above", option->name);
        if (!set(option, tree, node, kept, status))
            return false;
        sources[option - tool->options] = CLI_FROM_FILE;
    }
    return true;
}

bool config_file_read(const struct cli_tool *tool, const char *path, enum cli_source *sources,
                      struct cli_kept *kept, struct status *status)
{
    struct yaml_tree tree;
    bool ok;

    if (!yaml_tree_read(&tree, path, status))
        return false;
    ok = set_all(tool, &tree, sources, kept, status);
    yaml_tree_release(&tree);
    return ok;
}
