/* What a file is that was given, or fetched, in place of a model's: a web page, a pointer of Git
 * LFS, an archive, nothing at all. For a reader that has just failed. */
#ifndef FORMATS_FOREIGN_FILE_H
#define FORMATS_FOREIGN_FILE_H

#include <stdbool.h>

#include "base/status.h"

#define FOREIGN_FILE_GGUF "a GGUF file"
#define FOREIGN_FILE_SAFETENSORS "a safetensors file"
#define FOREIGN_FILE_JSON "a JSON file"

/* Look at the file whose reading has failed with STATUS_CONFIG. If it is known to be something else
 * than `wanted` (with its article), the message becomes "PATH: is a web page, not a GGUF file";
 * else, and after any other failure, it stays as it is. Returns false, as the failed reader does.
 */
bool foreign_file_explain(const char *path, const char *wanted, struct status *status);

#endif
