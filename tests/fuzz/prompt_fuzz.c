/* A line to its tokens: as a prompt of medrat-gen, as what medrat-score scores, and as what
 * medrat-tokenize writes. Text makes no control tokens, lengths are kept, what is written is JSON.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "run/score_input.h"
#include "tests/unit/tiny_tokenizer.h"
#include "text/token_record.h"

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
    read_recipe(&framed, "prompt: \"ab {query} cd {each passages}[{index}] {item}{end}\"\n"
                         "cut: query\nmax_length: 24\n");
    read_recipe(&chat, "messages:\n- {role: system, content: \"ab\"}\n"
                       "- {role: user, content: \"{query}\"}\n");
}

static void check_failure(const struct status *status)
{
    require(status->code == STATUS_INPUT && status->kind && status->message[0] != '\0');
}

static size_t count_control(const struct tokens *tokens)
{
    size_t n = 0;

    for (size_t i = 0; i < tokens->n; i++)
        n += tokenizer_is_control(tokenizer, tokens->ids[i]);
    return n;
}

/* Ids of the vocabulary; unless they are the user's own, which whoever computes with them checks.
 */
static void check_ids(const struct record *record, const struct tokens *tokens)
{
    if (record_get(record, "tokens"))
        return;
    for (size_t i = 0; i < tokens->n; i++)
        require(tokens->ids[i] >= 0 && tokens->ids[i] < tokenizer_vocab_size(tokenizer));
}

/* Control tokens: those of `n_turns` turns and of the one that is opened, or the BOS alone. */
static void check_control(const struct record *record, const struct tokens *tokens, size_t n_turns)
{
    const size_t n = count_control(tokens);

    if (record_get(record, "tokens"))
        return;
    if (record_get(record, "messages"))
        require(n == 2 * json_array_size(record_get(record, "messages")) + 1);
    else if (!record_get(record, "prompt")) /* which is read as the tokenizer reads it */
        require(n == (n_turns > 0 ? 2 * n_turns + 1 : 1));
}

static void make_prompt(const struct record *record, const struct recipe *recipe,
                        enum truncate truncate, size_t max_length)
{
    struct prompt_options options = {.recipe = recipe,
                                     .tokenizer = tokenizer,
                                     .max_length = max_length,
                                     .context = 64,
                                     .truncate = truncate};
    struct tokens tokens = {0};
    struct status status;
    size_t truncated = 0;

    require(prompt_open(&options, &status));
    if (!prompt_make(&options, record, &tokens, &truncated, &status)) {
        check_failure(&status);
    } else {
        require(tokens.n <= 64 && (tokens.n > 0 || record_get(record, "tokens")));
        check_ids(record, &tokens);
        require(max_length == 0 || tokens.n <= max_length);
        require(truncate != TRUNCATE_ERROR || truncated == 0);
        if (truncated == 0)
            check_control(record, &tokens, recipe->n_messages);
    }
    tokens_release(&tokens);
}

/* The parts of a text, each behind the one before it; of the targets no byte counts twice. */
static void check_parts(const struct score_input *input)
{
    const struct score_parts *parts = &input->parts;
    size_t n_bytes = 0, n_all = 0;

    require(parts->query <= parts->query_end && parts->query_end <= parts->completion);
    require(parts->completion <= input->tokens.n);
    require(parts->has_completion || parts->completion == input->tokens.n);
    for (size_t i = input->first_target; i < input->tokens.n; i++) {
        require(score_input_region(input, i) < SCORE_REGIONS);
        n_bytes += score_input_bytes(input, tokenizer, i);
        n_all += tokenizer_bytes(tokenizer, input->tokens.ids[i]).len;
    }
    require(n_bytes <= n_all && n_all <= n_bytes + input->lead);
}

static void make_score_input(const struct record *record, struct score_input_options options)
{
    static const int32_t start = 1;
    struct score_input input = {0};
    struct status status;

    options.empty_context = &start;
    options.tokenizer = tokenizer;
    options.max_length = 16;
    if (!score_input_make(&options, record, &input, &status)) {
        check_failure(&status);
    } else {
        require((options.windows || input.tokens.n <= 16) && input.first_target <= input.tokens.n);
        require((input.first_target == input.tokens.n) == (input.reason != NULL));
        check_ids(record, &input.tokens);
        check_parts(&input);
    }
    score_input_release(&input);
}

static void make_score_inputs(const struct record *record)
{
    make_score_input(record, (struct score_input_options){.truncate = TRUNCATE_HEAD});
    make_score_input(record, (struct score_input_options){.truncate = TRUNCATE_TAIL});
    make_score_input(record, (struct score_input_options){.truncate = TRUNCATE_ERROR});
    make_score_input(record, (struct score_input_options){.windows = true});
    make_score_input(record, (struct score_input_options){.completion_only = true});
    make_score_input(
        record, (struct score_input_options){.completion_only = true, .truncate = TRUNCATE_TAIL});
}

static void check_members(const struct buf *members)
{
    struct buf object = {0};
    json_t *made;

    buf_append_char(&object, '{');
    buf_append_text(&object, buf_text(members));
    buf_append_char(&object, '}');
    made = json_loadb(object.data, object.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    require(made != NULL);
    json_decref(made);
    buf_release(&object);
}

static void make_members(const struct record *record, bool decode, size_t max_length)
{
    struct token_record work = {
        .tokenizer = tokenizer, .pieces = max_length > 0, .max_length = max_length};
    struct buf members = {0};
    struct status status;

    require(token_record_open(&work, &status));
    if (decode ? token_record_decode(&work, record, &members, &status)
               : token_record_encode(&work, record, &members, &status))
        check_members(&members);
    else
        check_failure(&status);
    token_record_close(&work);
    buf_release(&members);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record record = {0};
    struct status status;

    prepare();
    if (record_parse(&record, (struct text){(const char *)data, size}, &status)) {
        make_prompt(&record, &framed, TRUNCATE_HEAD, 0);
        make_prompt(&record, &framed, TRUNCATE_TAIL, 12);
        make_prompt(&record, &chat, TRUNCATE_ERROR, 0);
        make_score_inputs(&record);
        make_members(&record, false, 0);
        make_members(&record, false, 5);
        make_members(&record, true, 0);
        make_members(&record, true, 5);
    }
    record_release(&record);
    return 0;
}
