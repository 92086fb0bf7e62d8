/* The settings of a run by name, as texts: whatever would make another result. What a run goes on
 * from carries them. */
#ifndef FORMATS_RUN_SETTINGS_H
#define FORMATS_RUN_SETTINGS_H

#include <jansson.h>

#include "base/status.h"

/* Objects of strings. STATUS_CONFIG unless they are equal: the first that differs is named with
 * both values, and the way out behind it. */
bool run_settings_compare(const json_t *were, const json_t *are, const char *way_out,
                          struct status *status) MUST_CHECK;

#endif
