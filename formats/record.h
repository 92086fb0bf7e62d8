/* One record: a line that is one JSON object, and its way back into a line.
 *
 * Nothing that was read is written again from the tree: new members go into the line's own bytes,
 * so that number spelling, escapes, order and spaces of the others stay as they came.
 * The schema, member by member, and the list of error codes: formats/README.md.
 */
#ifndef FORMATS_RECORD_H
#define FORMATS_RECORD_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/text.h"
#include "formats/json_scan.h"
#include "formats/member_map.h"

#define RECORD_MAX_DEPTH 256

struct record {
    json_t *object;               /* ours; NULL if the line is not a record */
    struct buf line;              /* ours: a copy of the line */
    struct text id;               /* the id's JSON bytes, into `line`; empty if there is none */
    uint64_t key;                 /* hash64 of the id's bytes, else of the whole line */
    bool failed_upstream;         /* carries error{tool, code}: to be passed on unread */
    struct json_scan scan;        /* ours: where the object's members stand in `line` */
    const char *file;             /* of struct line; "" unless the caller sets it */
    size_t number;                /* likewise, 0 */
    const struct member_map *map; /* the caller's, who sets it; NULL: members are called as we do */
};

/* Reads a line. A record may be used again and again: what it held is dropped, memory is kept.
 * False: STATUS_INPUT with its kind, column and perhaps member; the record then holds the line's
 * bytes and no object (and the id, where that is known). */
bool record_parse(struct record *record, struct text line, struct status *status) MUST_CHECK;
/* Empty; memory for lines of up to keep_size bytes is kept for the next. */
void record_reset(struct record *record, size_t keep_size);
void record_release(struct record *record);

/* The value of the member that stands for this one (formats/member_map.h), NULL if it is not there.
 * Ours; null is a value. All that follow go by it, and failures name what the user calls it. */
json_t *record_get(const struct record *record, const char *member);
json_t *record_getn(const struct record *record, const char *member, size_t len);
/* The same of an object in the list `list` of the record, which "passages.text" may call otherwise.
 */
json_t *record_item_get(const struct record *record, const json_t *item, const char *list,
                        const char *member);
/* Is there a member of just this name? */
bool record_has(const struct record *record, const char *name);

/* Typed members. Absent or null: true with *found = false and *value empty. Another type: false,
 * STATUS_INPUT of kind "type" with column and member. Texts point into the object. */
bool record_string(const struct record *record, const char *member, struct text *value, bool *found,
                   struct status *status) MUST_CHECK;
/* (*values)[n] of strings; the caller frees *values (NULL unless found). An item that is not a
 * string fails with the member "name[index]". */
bool record_string_list(const struct record *record, const char *member, struct text **values,
                        size_t *n, bool *found, struct status *status) MUST_CHECK;
/* (*ids)[n], each in [0, 2^31); the caller frees *ids (NULL unless found). */
bool record_tokens(const struct record *record, const char *member, int32_t **ids, size_t *n,
                   bool *found, struct status *status) MUST_CHECK;

/* Why a record cannot be done, always false: STATUS_INPUT with this kind and member ("passages",
 * "passages[3].text"), its column taken from the member of the object that it lies in. The message
 * must not hold text of the record. */
#define record_fail(record, status, kind, member, ...)                                             \
    (status_set_record((status), (kind), (member), __VA_ARGS__),                                   \
     record_place((record), (member), (status)), false)
void record_place(const struct record *record, const char *member, struct status *status);
/* kind "missing": the record has no such member */
bool record_fail_missing(const struct record *record, const char *member, struct status *status);
/* kind "type": `wanted` as in "a string", `got` is what stands there */
bool record_fail_type(const struct record *record, const char *member, const char *wanted,
                      const json_t *got, struct status *status);

/* Append the line with these members added, and "\n". members: `"a":1,"b":[...]`, may be empty.
 * Of the record's own members, those named in `replaced` are cut out. */
void record_write(const struct record *record, struct text members, const char *const *replaced,
                  size_t n_replaced, struct buf *out);

/* Append those of `members` (text as above) whose names the record does not have. */
void record_missing_members(const struct record *record, struct text members, struct buf *out);

/* Append {"id":..,"error":{"tool","code","message","line"[,"column"][,"member"]}} and "\n".
 * record: for its id; may be NULL, as where there was no line to read. */
void record_write_error(const struct record *record, const char *tool, const struct status *why,
                        size_t line_number, struct buf *out);

#endif
