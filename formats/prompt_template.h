/* Text with places for members of a record.
 *
 *   {query}                          a member: string, number or boolean; {a.b} is b of object a
 *   {n}                              the number of rationales wanted
 *   {each passages} ... {end}        once for each item of a list; within:
 *       {item}                         the item; of an object its "text"
 *       {item.text} {item.id}          a member of the item; a plain string has text and id
 *                                      (its index)
 *       {index} {number}               the item's place, counted from 0 and from 1
 *   {each selected} ... {end}        the passages that medrat-rerank selected, in rank order: the
 *                                    entries of `evidence` joined to `passages` by id
 *   {{                               a brace
 *
 * A template is checked when it is read, so that filling it can fail for want of a member only.
 */
#ifndef FORMATS_PROMPT_TEMPLATE_H
#define FORMATS_PROMPT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/text.h"

enum prompt_part_kind {
    PROMPT_PART_TEXT,     /* `text` as it stands */
    PROMPT_PART_MEMBER,   /* member `text` of the record */
    PROMPT_PART_N,        /* {n} */
    PROMPT_PART_EACH,     /* list `text`; the parts up to `end` are its body */
    PROMPT_PART_SELECTED, /* the same for the selected passages */
    PROMPT_PART_ITEM,     /* the item; its member `text` unless that is empty */
    PROMPT_PART_INDEX,    /* from 0 */
    PROMPT_PART_NUMBER,   /* from 1 */
};

struct prompt_part {
    enum prompt_part_kind kind;
    struct text text; /* into the template's bytes; names end in a zero */
    size_t end;       /* PROMPT_PART_EACH, _SELECTED: index of the part behind the body */
};

struct prompt_template {
    char *bytes; /* ours */
    struct prompt_part *parts;
    size_t n_parts;
};

/* STATUS_CONFIG, "line N of the text: why". */
bool prompt_template_parse(struct prompt_template *template, const char *text,
                           struct status *status) MUST_CHECK;
void prompt_template_release(struct prompt_template *template);

/* Whether member `name` stands in the text as a value of its own (not as a list). */
bool prompt_template_places(const struct prompt_template *template, const char *name);

#endif
