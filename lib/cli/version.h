/* What --version says. */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

#include "base/buf.h"

#define VERSION_STRING "0.1.0"

/* The libraries with their versions and that of Unicode, and the compiler. */
void version_build(struct buf *out);

/* Name and version, the libraries with their versions and that of Unicode, the intended use. */
void version_text(const char *tool_name, struct buf *out);

#endif
