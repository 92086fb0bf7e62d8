#include "train/train_card.h"

#include <inttypes.h>
#include <math.h>

#include "formats/output_file.h"

static void write_head(const struct trainer *t, struct buf *out)
{
    buf_printf(out,
               "---\nlibrary_name: peft\nbase_model: %s\npipeline_tag: text-generation\n---\n\n"
               "# A LoRA adapter for %s\n\n"
               "Trained by medrat-train, %" PRIu64 " steps. For research: what a model writes is "
               "model text and not medical\nadvice; a person checks it.\n\n",
               t->options->base_model, t->options->base_model, t->state.step);
}

static void write_result(const struct trainer *t, struct buf *out)
{
    if (t->validation->n == 0)
        buf_append_string(out, "There was no validation: these are the last step's values.\n\n");
    else
        buf_printf(out,
                   "Best validation loss: %.6f nats a token (perplexity %.4f) after step %" PRIu64
                   ", whose values these are%s.\n\n",
                   t->state.best, exp(t->state.best), t->state.best_step,
                   t->state.stopped ? "; stopped early" : "");
}

static void write_settings(const json_t *settings, struct buf *out)
{
    const char *key;
    json_t *value;

    buf_append_string(out, "| setting | value |\n|---|---|\n");
    json_object_foreach((json_t *)(uintptr_t)settings, key, value)
    {
        buf_printf(out, "| %s | %s |\n", key, json_string_value(value));
    }
}

bool train_card_write(const struct trainer *t, struct status *status)
{
    struct buf text = {0}, path = {0};
    bool ok;

    write_head(t, &text);
    write_result(t, &text);
    write_settings(t->settings, &text);
    ok = output_file_put(adapter_place_file(t->place, ADAPTER_PLACE_CARD, &path), buf_text(&text),
                         status);
    buf_release(&text);
    buf_release(&path);
    return ok;
}
