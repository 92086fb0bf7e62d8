/* A recipe, and behind a NUL byte a record: both are read, and the one is filled from the other. */
#include <stdlib.h>
#include <string.h>

#include "formats/recipe.h"
#include "formats/record.h"
#include "fuzz.h"
#include "text/prompt_render.h"

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* Bodies lie within the parts and hold no list of their own. */
static void check_template(const struct prompt_template *template)
{
    for (size_t i = 0; i < template->n_parts; i++) {
        const struct prompt_part *part = &template->parts[i];
        const bool list = part->kind == PROMPT_PART_EACH || part->kind == PROMPT_PART_SELECTED;

        check(!list || (part->end > i && part->end <= template->n_parts));
        for (size_t j = i + 1; list && j < part->end; j++)
            check(template->parts[j].kind != PROMPT_PART_EACH &&
                  template->parts[j].kind != PROMPT_PART_SELECTED);
    }
}

/* With the cut member put back in, the text is that of a render that left nothing out. */
static void fill(const struct recipe *recipe, const struct prompt_template *template,
                 const struct record *record)
{
    struct prompt_text whole, marked;
    struct buf value = {0}, out = {0};
    struct status status = {0};
    const bool all = prompt_render(template, record, recipe->n, NULL, &whole, &status);
    const bool some = prompt_render(template, record, recipe->n, recipe->cut, &marked, &status);

    check(some || status.code == STATUS_INPUT);
    check(some || !all);
    if (all && recipe->cut && prompt_template_places(template, recipe->cut)) {
        check(prompt_render_member(record, recipe->cut, &value, &status));
        prompt_render_fill(&marked, buf_text(&value), &out);
        check(text_equals(buf_text(&out), buf_text(&whole.frame)));
    }
    prompt_render_release(&whole);
    prompt_render_release(&marked);
    buf_release(&value);
    buf_release(&out);
}

static void use(const struct recipe *recipe, struct text line)
{
    struct record record = {0};
    struct status status = {0};

    check(recipe->has_prompt != (recipe->n_messages > 0));
    check(recipe->n >= 1 && recipe->max_tokens >= 1);
    if (recipe->has_prompt)
        check_template(&recipe->prompt);
    if (record_parse(&record, line, &status)) {
        if (recipe->has_prompt)
            fill(recipe, &recipe->prompt, &record);
        for (size_t i = 0; i < recipe->n_messages; i++) {
            check_template(&recipe->messages[i].content);
            fill(recipe, &recipe->messages[i].content, &record);
        }
    }
    record_release(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, '\0', size) : NULL;
    const size_t n = zero ? (size_t)(zero - data) : size;
    const struct text yaml = {(const char *)data, n};
    const struct text line =
        zero ? (struct text){(const char *)zero + 1, size - n - 1} : text_of("{\"query\":\"q\"}");
    struct recipe recipe;
    struct status status = {0};

    if (!recipe_parse_yaml(&recipe, yaml, "fuzz", &status)) {
        check(status.code == STATUS_CONFIG && status.message[0] != '\0');
        check(!recipe.name);
        return 0;
    }
    use(&recipe, line);
    recipe_release(&recipe);
    return 0;
}
