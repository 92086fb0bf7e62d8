/* What a JSON value is, in words for messages: "must be a string, is an integer". */
#ifndef FORMATS_JSON_KIND_H
#define FORMATS_JSON_KIND_H

#include <jansson.h>

const char *json_kind(const json_t *value); /* "an object", "a list", ..., "null"; a constant */

#endif
