/* YAML: what is read has the promised shape, what is refused leaves a message and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "formats/yaml_tree.h"
#include "fuzz.h"

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_node(const struct yaml_node *node, int depth)
{
    check(depth <= 16 && node->line >= 1);
    check((node->kind == YAML_TREE_SCALAR) == (node->value != NULL));
    check(node->kind != YAML_TREE_SCALAR || node->n_children == 0);
    for (size_t i = 0; i < node->n_children; i++) {
        const struct yaml_node *child = &node->children[i];

        check((node->kind == YAML_TREE_MAPPING) == (child->key != NULL));
        if (child->key) /* no key twice: the first of its name is this one */
            check(yaml_tree_find(node, child->key) == child);
        check_node(child, depth + 1);
    }
}

static void read_values(const struct yaml_tree *tree, const struct yaml_node *node)
{
    struct status status;
    const char *string;
    double number;
    bool yes;
    int n;

    if (yaml_tree_string(tree, node, &string, &status))
        check(string == node->value);
    if (yaml_tree_bool(tree, node, &yes, &status))
        check(node->plain);
    if (yaml_tree_int(tree, node, -5, 5, &n, &status))
        check(n >= -5 && n <= 5);
    if (yaml_tree_double(tree, node, -1, 1, &number, &status))
        check(number >= -1.0 && number <= 1.0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yaml_tree tree;
    struct status status = {0};

    if (!yaml_tree_parse(&tree, (struct text){(const char *)data, size}, "fuzz", &status)) {
        check(status.code == STATUS_CONFIG && strncmp(status.message, "fuzz:", 5) == 0);
        check(!tree.name && tree.root.n_children == 0);
        return 0;
    }
    check_node(&tree.root, 0);
    read_values(&tree, &tree.root);
    for (size_t i = 0; i < tree.root.n_children; i++)
        read_values(&tree, &tree.root.children[i]);
    yaml_tree_release(&tree);
    return 0;
}
