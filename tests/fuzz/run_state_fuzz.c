/* A state beside an output: what is accepted is written again as what is read the same; what is not
 * says why. */
#include "cli/run_state.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text bytes = {(const char *)data, size};
    struct run_state state = {0}, again = {0};
    struct status status = {0};
    struct buf written = {0};
    json_t *settings = run_state_parse(&state, bytes, &status), *same;

    if (settings) {
        run_state_text(&state, settings, &written);
        same = run_state_parse(&again, buf_text(&written), &status);
        require(same && json_equal(settings, same));
        require(again.n_lines == state.n_lines && again.input_hash == state.input_hash);
        require(text_equals(buf_text(&again.tool), buf_text(&state.tool)));
        json_decref(same);
    } else {
        require(status.code == STATUS_CONFIG && status.message[0] != '\0');
    }
    json_decref(settings);
    buf_release(&written);
    run_state_release(&state);
    run_state_release(&again);
    return 0;
}
