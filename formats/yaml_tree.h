/* A YAML file as a small checked tree, read with libyaml.
 *
 * One document of mappings, sequences and scalars. Anchors, aliases, tags, duplicate keys, keys
 * that are not scalars, NUL bytes, depth over 16 and more than 1 MiB are refused. Failures are
 * STATUS_CONFIG with "file:line: why".
 */
#ifndef FORMATS_YAML_TREE_H
#define FORMATS_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/text.h"

enum yaml_kind { YAML_TREE_SCALAR, YAML_TREE_SEQUENCE, YAML_TREE_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    size_t line;                /* from 1; in a mapping, the line of the key */
    char *key;                  /* in a mapping; NULL elsewhere */
    char *value;                /* scalar; zero-terminated, valid UTF-8 */
    bool plain;                 /* scalar without quotes: may be a number, true, false or null */
    struct yaml_node *children; /* in the order of the file */
    size_t n_children;
};

struct yaml_tree {
    char *name; /* of the file, for messages */
    struct yaml_node root;
};

/* An empty document is an empty mapping. */
bool yaml_tree_parse(struct yaml_tree *tree, struct text bytes, const char *name,
                     struct status *status) MUST_CHECK;
/* STATUS_NO_INPUT if there is no such file. */
bool yaml_tree_read(struct yaml_tree *tree, const char *path, struct status *status) MUST_CHECK;
void yaml_tree_release(struct yaml_tree *tree);

/* The value under a key of a mapping; NULL if there is none. */
const struct yaml_node *yaml_tree_find(const struct yaml_node *mapping, const char *key);
bool yaml_tree_is_null(const struct yaml_node *node); /* nothing, ~ or null, not quoted */

/* Fail at a node: "file:line: key 'k': ..." (without the key where there is none), STATUS_CONFIG.
 */
#define yaml_tree_fail(tree, node, status, ...)                                                    \
    (yaml_tree_set((tree), (node), (status), __VA_ARGS__), false)
void yaml_tree_set(const struct yaml_tree *tree, const struct yaml_node *node,
                   struct status *status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The typed value of a node, or a failure that says what is wanted. */
bool yaml_tree_string(const struct yaml_tree *tree, const struct yaml_node *node,
                      const char **value, struct status *status) MUST_CHECK;
bool yaml_tree_bool(const struct yaml_tree *tree, const struct yaml_node *node, bool *value,
                    struct status *status) MUST_CHECK;
bool yaml_tree_int(const struct yaml_tree *tree, const struct yaml_node *node, int min, int max,
                   int *value, struct status *status) MUST_CHECK;
bool yaml_tree_double(const struct yaml_tree *tree, const struct yaml_node *node, double min,
                      double max, double *value, struct status *status) MUST_CHECK;

#endif
