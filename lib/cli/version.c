#include "cli/version.h"

#include <jansson.h>
#include <utf8proc.h>
#include <yaml.h>
#include <zlib.h>

void version_text(const char *tool_name, struct buf *out)
{
    buf_printf(out, "%s %s\n", tool_name, VERSION_STRING);
    buf_printf(out, "jansson %s, libyaml %s, utf8proc %s (Unicode %s), zlib %s\n",
               jansson_version_str(), yaml_get_version_string(), utf8proc_version(),
               utf8proc_unicode_version(), zlibVersion());
    buf_append_string(
        out, "Intended use: research. What it writes is model text, to be checked by a person; it\n"
             "is not medical advice and not a medical device.\n");
}
