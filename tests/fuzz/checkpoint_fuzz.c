/* A checkpoint's file, of a run with 4 values and two settings: what is accepted is finite in its
 * counts and of that run; what is not says why. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "formats/safetensors.h"
#include "fuzz.h"
#include "train/checkpoint.h"

enum { N = 4 };

static json_t *settings(void)
{
    static json_t *list;

    if (!list)
        list = json_pack("{s:s, s:s}", "lr", "0.01", "rank", "3");
    return list;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    float arrays[3][N];
    struct checkpoint c = {
        .n = N, .values = arrays[0], .first_moment = arrays[1], .second_moment = arrays[2]};
    struct status status = {0};
    struct tensor_file file;

    if (!safetensors_read(&file, data, size, &status))
        return 0;
    if (checkpoint_parse(&c, settings(), &file, &status))
        require(c.n == N && !isnan(c.best));
    else
        require(status.code == STATUS_CONFIG && status.message[0] != '\0');
    tensor_file_close(&file);
    return 0;
}
