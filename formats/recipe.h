/* A recipe: how a record becomes a prompt, how its text is sampled, what is read from the text.
 * YAML; formats/recipes/ holds those that ship, and formats/README.md lists the keys.
 */
#ifndef FORMATS_RECIPE_H
#define FORMATS_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "formats/prompt_template.h"

enum recipe_parse {
    RECIPE_PARSE_NONE,  /* the generation is all there is */
    RECIPE_PARSE_LINES, /* one rationale a line; ends after n of them */
};

struct recipe_message {
    char *role; /* "system", "user" or "assistant" */
    struct prompt_template content;
};

/* Either `prompt` or `messages`. */
struct recipe {
    char *name;    /* of the file, for messages */
    uint64_t hash; /* of its bytes */
    bool has_prompt;
    struct prompt_template prompt;
    struct recipe_message *messages;
    size_t n_messages;
    int n;          /* rationales wanted; {n} */
    int max_length; /* tokens of a prompt, specials included; 0: as many as fit the model */
    char *cut;      /* the member shortened when a prompt is too long; NULL: none may be */
    bool greedy;    /* then temperature, top_k, top_p, min_p do not matter */
    double temperature;
    int top_k;    /* 0: off */
    double top_p; /* 1: off */
    double min_p; /* 0: off */
    int max_tokens;
    char **stop; /* strings that end the text */
    size_t n_stop;
    enum recipe_parse parse;
    char *makes; /* member for what `parse` reads: "rationales"; NULL with RECIPE_PARSE_NONE */
};

/* Unknown key, wrong type, out of range, a mistake in a placeholder: STATUS_CONFIG with file, line
 * and key. STATUS_NO_INPUT if there is no such file. The caller releases. */
bool recipe_read(struct recipe *recipe, const char *path, struct status *status) MUST_CHECK;
/* Whether its texts have a place for this member, or for "passages.text" for items of that list. */
bool recipe_reads(const struct recipe *recipe, const char *member);
bool recipe_parse_yaml(struct recipe *recipe, struct text yaml, const char *name,
                       struct status *status) MUST_CHECK;
void recipe_release(struct recipe *recipe);

#endif
