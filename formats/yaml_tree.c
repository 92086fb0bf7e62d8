#include "formats/yaml_tree.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/buf.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/read_files.h"

enum {
    MAX_DEPTH = 16,
    MAX_SIZE = 1 << 20,
    READ_SIZE = 4096,
    MAX_NODES = 4096, /* also keeps the search for duplicate keys short */
};

/* libyaml's events on their way into the tree. */
struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the one at hand; owned */
    struct yaml_tree *tree;
    size_t n_nodes;
    struct status *status;
};

static void node_release(struct yaml_node *node)
{
    for (size_t i = 0; i < node->n_children; i++)
        node_release(&node->children[i]);
    free(node->children);
    free(node->key);
    free(node->value);
}

void yaml_tree_release(struct yaml_tree *tree)
{
    node_release(&tree->root);
    free(tree->name);
    *tree = (struct yaml_tree){0};
}

static bool fail(struct reader *r, const char *why)
{
    return status_fail(r->status, STATUS_CONFIG, "%s:%zu: %s", r->tree->name,
                       r->event.start_mark.line + 1, why);
}

/* The next event into r->event. */
static bool advance(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *why;

    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event))
        return true;
    why = p->problem ? p->problem : "not YAML";
    if (p->error == YAML_MEMORY_ERROR)
        return status_fail(r->status, STATUS_MEMORY, "%s: out of memory", r->tree->name);
    if (p->error == YAML_READER_ERROR) /* bytes that are not UTF-8: no line is known */
        return status_fail(r->status, STATUS_CONFIG, "%s: byte %zu: %s", r->tree->name,
                           p->problem_offset + 1, why);
    return status_fail(r->status, STATUS_CONFIG, "%s:%zu: %s", r->tree->name,
                       p->problem_mark.line + 1, why);
}

/* Anchors and tags make a small file mean a large tree, or something that it does not show. */
static bool check_plain(struct reader *r, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        return fail(r, "anchors are not allowed");
    if (tag)
        return fail(r, "tags are not allowed");
    return true;
}

static bool check_event(struct reader *r)
{
    const yaml_event_t *e = &r->event;

    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return fail(r, "aliases are not allowed");
    case YAML_SCALAR_EVENT:
        if (memchr(e->data.scalar.value, '\0', e->data.scalar.length))
            return fail(r, "NUL character in a string");
        return check_plain(r, e->data.scalar.anchor, e->data.scalar.tag);
    case YAML_SEQUENCE_START_EVENT:
        return check_plain(r, e->data.sequence_start.anchor, e->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return check_plain(r, e->data.mapping_start.anchor, e->data.mapping_start.tag);
    default:
        return true;
    }
}

static struct yaml_node *add_child(struct yaml_node *parent)
{
    const size_t n = parent->n_children;

    if ((n & (n - 1)) == 0) /* full at 0, 1, 2, 4, ... */
        parent->children = memory_resize(parent->children, n ? 2 * n : 1, sizeof(*parent));
    parent->children[n] = (struct yaml_node){0};
    parent->n_children++;
    return &parent->children[n];
}

static bool read_node(struct reader *r, struct yaml_node *node, int depth);

static bool read_sequence(struct reader *r, struct yaml_node *sequence, int depth)
{
    for (;;) {
        if (!advance(r))
            return false;
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return true;
        if (!read_node(r, add_child(sequence), depth))
            return false;
    }
}

static bool read_mapping(struct reader *r, struct yaml_node *mapping, int depth)
{
    for (;;) {
        struct yaml_node *child;

        if (!advance(r))
            return false;
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return true;
        if (!check_event(r))
            return false;
        if (r->event.type != YAML_SCALAR_EVENT)
            return fail(r, "a key must be a word");
        if (yaml_tree_find(mapping, (const char *)r->event.data.scalar.value))
            return status_fail(r->status, STATUS_CONFIG, "%s:%zu: key '%.64s' stands here twice",
                               r->tree->name, r->event.start_mark.line + 1,
                               (const char *)r->event.data.scalar.value);
        child = add_child(mapping);
        child->key =
            memory_string((const char *)r->event.data.scalar.value, r->event.data.scalar.length);
        child->line = r->event.start_mark.line + 1;
        if (!advance(r) || !read_node(r, child, depth))
            return false;
    }
}

/* The node that begins with the event at hand. */
static bool read_node(struct reader *r, struct yaml_node *node, int depth)
{
    const yaml_event_t *e = &r->event;

    if (node->line == 0)
        node->line = e->start_mark.line + 1;
    if (!check_event(r))
        return false;
    if (++r->n_nodes > MAX_NODES)
        return fail(r, "too many values");
    if (e->type == YAML_SCALAR_EVENT) {
        node->kind = YAML_TREE_SCALAR;
        node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        node->value = memory_string((const char *)e->data.scalar.value, e->data.scalar.length);
        return true;
    }
    if (depth >= MAX_DEPTH)
        return fail(r, "nested too deeply");
    node->kind = e->type == YAML_SEQUENCE_START_EVENT ? YAML_TREE_SEQUENCE : YAML_TREE_MAPPING;
    return node->kind == YAML_TREE_SEQUENCE ? read_sequence(r, node, depth + 1)
                                            : read_mapping(r, node, depth + 1);
}

/* One document, or none. */
static bool read_stream(struct reader *r)
{
    if (!advance(r) || !advance(r)) /* start of the stream; of the document */
        return false;
    r->tree->root.kind = YAML_TREE_MAPPING;
    r->tree->root.line = 1;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return true;
    if (r->event.data.document_start.version_directive ||
        r->event.data.document_start.tag_directives.start !=
            r->event.data.document_start.tag_directives.end)
        return fail(r, "directives are not allowed");
    if (!advance(r) || !read_node(r, &r->tree->root, 0))
        return false;
    if (!advance(r) || !advance(r)) /* end of the document; of the stream */
        return false;
    if (r->event.type != YAML_STREAM_END_EVENT)
        return fail(r, "a second document begins here");
    return true;
}

bool yaml_tree_parse(struct yaml_tree *tree, struct text bytes, const char *name,
                     struct status *status)
{
    struct reader r = {.tree = tree, .status = status};
    bool ok;

    *tree = (struct yaml_tree){.name = memory_string(name, strlen(name))};
    if (bytes.len > MAX_SIZE) {
        ok = status_fail(status, STATUS_CONFIG, "%s: more than %d bytes", name, MAX_SIZE);
    } else if (!yaml_parser_initialize(&r.parser)) {
        ok = status_fail(status, STATUS_MEMORY, "%s: out of memory", name);
    } else {
        yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&r.parser, (const unsigned char *)bytes.ptr, bytes.len);
        ok = read_stream(&r);
        yaml_event_delete(&r.event);
        yaml_parser_delete(&r.parser);
    }
    if (!ok)
        yaml_tree_release(tree);
    return ok;
}

/* Reads rather than maps: `-c <(command)` is a pipe. One byte over the limit shows the excess. */
bool yaml_tree_read(struct yaml_tree *tree, const char *path, struct status *status)
{
    struct buf bytes = {0};
    FILE *file = fopen(path, "rb");
    bool ok = false;
    size_t n;

    *tree = (struct yaml_tree){0};
    if (!file)
        return status_fail(status, errno == ENOENT ? STATUS_NO_INPUT : STATUS_IO, "%s: %s", path,
                           strerror(errno));
    do {
        n = fread(buf_reserve(&bytes, READ_SIZE), 1, READ_SIZE, file);
        bytes.len += n;
    } while (n == READ_SIZE && bytes.len <= MAX_SIZE);
    if (ferror(file))
        status_set(status, STATUS_IO, "%s: %s", path, strerror(errno));
    else
        ok = yaml_tree_parse(tree, buf_text(&bytes), path, status);
    fclose(file);
    buf_release(&bytes);
    read_files_note(path);
    return ok;
}

const struct yaml_node *yaml_tree_find(const struct yaml_node *mapping, const char *key)
{
    for (size_t i = 0; i < mapping->n_children; i++) {
        if (mapping->children[i].key && strcmp(mapping->children[i].key, key) == 0)
            return &mapping->children[i];
    }
    return NULL;
}

void yaml_tree_set(const struct yaml_tree *tree, const struct yaml_node *node,
                   struct status *status, const char *format, ...)
{
    char why[256];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    if (node->key)
        status_set(status, STATUS_CONFIG, "%s:%zu: key '%.64s': %s", tree->name, node->line,
                   node->key, why);
    else
        status_set(status, STATUS_CONFIG, "%s:%zu: %s", tree->name, node->line, why);
}

bool yaml_tree_string(const struct yaml_tree *tree, const struct yaml_node *node,
                      const char **value, struct status *status)
{
    if (node->kind != YAML_TREE_SCALAR || yaml_tree_is_null(node))
        return yaml_tree_fail(tree, node, status, "must be a string");
    *value = node->value;
    return true;
}

bool yaml_tree_bool(const struct yaml_tree *tree, const struct yaml_node *node, bool *value,
                    struct status *status)
{
    const bool yes = node->plain && strcmp(node->value, "true") == 0;

    if (!yes && !(node->plain && strcmp(node->value, "false") == 0))
        return yaml_tree_fail(tree, node, status, "must be true or false");
    *value = yes;
    return true;
}

bool yaml_tree_int(const struct yaml_tree *tree, const struct yaml_node *node, int min, int max,
                   int *value, struct status *status)
{
    int64_t number;

    if (!node->plain || !number_int64(node->value, &number))
        return yaml_tree_fail(tree, node, status, "must be a whole number");
    if (number < min || number > max)
        return yaml_tree_fail(tree, node, status, "must be from %d to %d", min, max);
    *value = (int)number;
    return true;
}

bool yaml_tree_double(const struct yaml_tree *tree, const struct yaml_node *node, double min,
                      double max, double *value, struct status *status)
{
    double number;

    if (!node->plain || !number_double(node->value, &number))
        return yaml_tree_fail(tree, node, status, "must be a number");
    if (!(number >= min && number <= max))
        return yaml_tree_fail(tree, node, status, "must be from %g to %g", min, max);
    *value = number;
    return true;
}

bool yaml_tree_is_null(const struct yaml_node *node)
{
    return node->plain && (node->value[0] == '\0' || strcmp(node->value, "~") == 0 ||
                           strcmp(node->value, "null") == 0);
}
