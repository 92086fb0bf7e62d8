/* JSON values appended to a buffer: the members that a tool adds to a record, and reports.
 *
 *     json_write_name(&job->members, "n_tokens");
 *     json_write_int(&job->members, n);
 */
#ifndef FORMATS_JSON_WRITE_H
#define FORMATS_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"

/* `"name":`, with a comma before it unless `out` is empty or ends in { [ or a comma. Several names
 * in a row therefore make members, without braces round them. */
void json_write_name(struct buf *out, const char *name);
/* A comma, unless `out` is empty or ends in { [ : or a comma: before the next item of a list. */
void json_write_comma(struct buf *out);

/* Bytes that are not UTF-8 come out as U+FFFD. */
void json_write_string(struct buf *out, struct text text);
void json_write_int(struct buf *out, int64_t value);
void json_write_uint(struct buf *out, uint64_t value);
void json_write_bool(struct buf *out, bool value);
/* The fewest digits that read back as the same number, with a point or an exponent; null for what
 * JSON has no number for. */
void json_write_double(struct buf *out, double value);
void json_write_float(struct buf *out, float value);
/* [1,2,3] */
void json_write_ints(struct buf *out, const int32_t *values, size_t n);

#endif
