#include "cli/version.h"

#include <jansson.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <utf8proc.h>
#include <yaml.h>
#include <zlib.h>

void version_build(struct buf *out)
{
    char pcre2[64] = "?"; /* "10.42 2022-12-11": 24 bytes at most, by its documentation */

    pcre2_config(PCRE2_CONFIG_VERSION, pcre2);
    buf_printf(out,
               "jansson %s, libyaml %s, PCRE2 %s, utf8proc %s (Unicode %s), zlib %s, compiler %s",
               jansson_version_str(), yaml_get_version_string(), pcre2, utf8proc_version(),
               utf8proc_unicode_version(), zlibVersion(), __VERSION__);
}

void version_text(const char *tool_name, struct buf *out)
{
    buf_printf(out, "%s %s\n", tool_name, VERSION_STRING);
    version_build(out);
    buf_append_char(out, '\n');
    buf_append_string(
        out, "Intended use: research. What it writes is model text, to be checked by a person; it\n"
             "is not medical advice and not a medical device.\n");
}
