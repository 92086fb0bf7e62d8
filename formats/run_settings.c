#include "formats/run_settings.h"

#include <string.h>

#include "formats/json_file.h"

static const char *setting(const json_t *settings, const char *key)
{
    const char *value = json_string_value(json_object_get(settings, key));

    return value ? value : "not there";
}

/* The first key of `keys` whose values differ. */
static bool compare(const json_t *keys, const json_t *were, const json_t *are, const char *way_out,
                    struct status *status)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)keys, key, value)
    {
        const char *was = setting(were, key), *is = setting(are, key);

        (void)value;
        if (strcmp(was, is) != 0)
            return status_fail(
                status, STATUS_CONFIG, "made with another '%s': it was %s, and is %s; %s",
                json_file_shown(key), json_file_shown(was), json_file_shown(is), way_out);
    }
    return true;
}

bool run_settings_compare(const json_t *were, const json_t *are, const char *way_out,
                          struct status *status)
{
    return compare(are, were, are, way_out, status) && compare(were, were, are, way_out, status);
}
