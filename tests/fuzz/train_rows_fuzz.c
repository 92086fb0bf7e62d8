/* A line to a row that is trained on, by every option: a row has tokens of the vocabulary, no more
 * than it may, and a target behind the first; what was refused left nothing. */
#include <stdlib.h>

#include "fuzz.h"
#include "tests/unit/tiny_tokenizer.h"
#include "train/train_rows.h"

enum { MAX_LENGTH = 16 };

static const struct tokenizer *tokenizer;
static struct recipe framed, chat;

static void read_recipe(struct recipe *recipe, const char *yaml)
{
    struct status status;

    require(recipe_parse_yaml(recipe, text_of(yaml), "fuzz", &status));
}

/* Lives as long as the fuzzer. */
static void prepare(void)
{
    struct status status;

    if (tokenizer)
        return;
    tokenizer = tiny_open(true, &status);
    require(tokenizer != NULL);
    read_recipe(&framed, "prompt: \"{n} {query}:\"\ncut: query\nmax_length: 9\n");
    read_recipe(&chat, "messages:\n- {role: user, content: \"{query}\"}\n");
}

static void check(const struct train_rows *rows)
{
    const struct train_row row = train_rows_get(rows, 0, 1, 2);
    int n_targets = 0;

    require(rows->n == 1 && row.n_tokens >= 2 && row.n_tokens <= MAX_LENGTH && !row.targets[0]);
    for (int i = 0; i < row.n_tokens; i++) {
        require(row.tokens[i] >= 0 && row.tokens[i] < TINY_SIZE && row.targets[i] <= 1);
        n_targets += row.targets[i];
    }
    require(n_targets >= 1 && rows->n_targets == (size_t)n_targets);
    require(train_rows_name(rows, 0)[0] != '\0' && train_rows_most(rows, 1) >= 2);
}

static void make(const struct record *record, struct train_rows_options options)
{
    struct train_rows rows = {0};
    struct status status = {0};

    options.prompt.tokenizer = tokenizer;
    options.prompt.context = 64;
    options.max_length = MAX_LENGTH;
    options.vocab_size = TINY_SIZE;
    require(prompt_open(&options.prompt, &status));
    if (train_rows_add(&rows, &options, record, &status))
        check(&rows);
    else
        require(status.code == STATUS_INPUT && status.kind && rows.n == 0 && rows.n_tokens == 0);
    train_rows_release(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct prompt_options head = {.recipe = &framed};
    const struct prompt_options turns = {.recipe = &chat, .truncate = TRUNCATE_ERROR};
    struct record record = {0};
    struct status status;

    prepare();
    if (record_parse(&record, (struct text){(const char *)data, size}, &status)) {
        make(&record,
             (struct train_rows_options){.prompt = head, .end_id = TINY_TURN_END, .masked_id = -1});
        make(&record,
             (struct train_rows_options){.prompt = head, .end_id = -1, .masked_id = TINY_TURN_END});
        make(&record, (struct train_rows_options){.prompt = head,
                                                  .end_id = TINY_TURN_END,
                                                  .masked_id = -1,
                                                  .completion_only = true,
                                                  .recipe_only = true});
        make(&record, (struct train_rows_options){.prompt = turns,
                                                  .end_id = TINY_TURN_END,
                                                  .masked_id = -1,
                                                  .completion_only = true});
    }
    record_release(&record);
    return 0;
}
