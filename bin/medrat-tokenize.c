/* medrat-tokenize: text, pairs or chat turns -> token ids; token ids -> text; text -> passages. */
#include <stdio.h>

#include "cli/common_options.h"
#include "cli/message.h"
#include "cli/model_path.h"
#include "cli/process.h"
#include "text/token_record.h"
#include "text/tokenizer_identity.h"

static struct common_args args = COMMON_ARGS_INIT;
static struct token_record work;
static bool decode;
static int truncate_option; /* enum truncate */

static const struct cli_option options[] = {
    {.kind = CLI_HEADING, .help = "Tokens"},
    {"decode", 'd', CLI_FLAG, &decode, 0, 0, NULL, "the other way: 'tokens' to 'text'", NULL, NULL,
     NULL},
    {"pieces", 'p', CLI_FLAG, &work.pieces, 0, 0, NULL,
     "add 'pieces', the vocabulary's spelling of each token; with --decode also show control "
     "tokens in the text",
     NULL, NULL, NULL},
    {"no-special", 0, CLI_FLAG, &work.no_special, 0, 0, NULL,
     "without the tokens that the model's own tokenizer puts around a text", NULL, NULL, NULL},
    {"template", 0, CLI_STRING, &work.template_name, 0, 0, "NAME",
     "the chat template of 'messages': chatml, smollm2 or mistral-v3", "the model's own", NULL,
     NULL},
    {"max-length", 0, CLI_SIZE, &work.max_length, 1, 1 << 30, "N",
     "tokens of a text at most, special ones included; chats are not cut, but fail", "no limit",
     NULL, NULL},
    {"truncate", 0, CLI_CHOICE, &truncate_option, 0, 0, "HOW",
     "what stays of a text that is too long; error: the record fails", NULL,
     common_options_truncate, NULL},
    {.kind = CLI_HEADING, .help = "Passages"},
    {"chunk", 0, CLI_SIZE, &work.chunk, CHUNK_MIN_TOKENS, 1 << 30, "N",
     "instead of tokens, add 'passages': 'text' cut between sentences into parts of at most N "
     "tokens, "
     "special ones included; a longer sentence is cut between words",
     "off", NULL, NULL},
    {"overlap", 0, CLI_SIZE, &work.overlap, 0, 1 << 30, "M",
     "begin each passage with the last sentences of the one before, as many as M tokens hold", "0",
     NULL, NULL},
    {.kind = CLI_HEADING, .help = "Model"},
    COMMON_MODEL_ROW(args, "the demo model smollm2"),
    COMMON_RECORD_OPTIONS(args),
};

static const char *const reads[] = {"id", "messages", "text", "text_pair", "tokens", NULL};

static const struct cli_tool tool = {
    .name = "medrat-tokenize",
    .summary = "turn text into token ids, and back, or into passages",
    .usage = "[OPTION]... [FILE]...",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .reads = reads,
    .no_input_hint = "echo '{\"text\":\"Aspirin 100 mg, twice daily\"}' | medrat-tokenize --pieces",
};

static bool begin(void *self, struct job *job, struct status *status)
{
    const bool ok = decode       ? token_record_decode(self, &job->record, &job->members, status)
                    : work.chunk ? token_record_chunk(self, &job->record, &job->members, status)
                                 : token_record_encode(self, &job->record, &job->members, status);

    if (ok)
        job_done(job);
    return ok;
}

static uint64_t tokens(void *self)
{
    return ((const struct token_record *)self)->n_tokens;
}

static void stats(void *self, struct buf *members)
{
    token_record_write_stats(self, members);
}

static void settings(void *self, json_t *list)
{
    char identity[TOKENIZER_IDENTITY_SIZE];

    (void)self;
    tokenizer_identity(work.tokenizer, identity);
    json_object_set_new(list, "tokenizer", json_string(identity));
}

/* Options that mean nothing when ids become text, or text passages. */
static bool check_mode(const struct cli_operands *operands, struct status *status)
{
    const struct {
        const char *name;
        const void *value;
        bool decode, chunk; /* means nothing with these */
    } rows[] = {{"no-special", &work.no_special, true, false},
                {"template", &work.template_name, true, true},
                {"max-length", &work.max_length, true, true},
                {"truncate", &truncate_option, true, true},
                {"chunk", &work.chunk, true, false},
                {"overlap", &work.overlap, true, false},
                {"pieces", &work.pieces, false, true}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const bool chunk = work.chunk > 0 && rows[i].chunk;

        if (!chunk && !(decode && rows[i].decode))
            continue;
        if (cli_source(&tool, operands, rows[i].value) == CLI_FROM_FLAG)
            return status_fail(status, STATUS_USAGE, "option '--%s' means nothing with --%s",
                               rows[i].name, chunk ? "chunk" : "decode");
    }
    if (work.overlap > 0 && work.overlap >= work.chunk)
        return status_fail(status, STATUS_USAGE,
                           "option '--overlap': must be less than the tokens of --chunk");
    return true;
}

static bool open_all(const struct cli_operands *operands, struct tokenizer **tokenizer,
                     struct status *status)
{
    struct buf path = {0};

    *tokenizer = NULL;
    if (check_mode(operands, status) &&
        model_path_resolve(args.model, "smollm2", args.quiet, &path, status))
        *tokenizer = tokenizer_open(path.data, status);
    buf_release(&path);
    if (!*tokenizer)
        return false;
    work.tokenizer = *tokenizer;
    work.truncate = (enum truncate)truncate_option;
    if (args.verbose)
        message(MESSAGE_INFO, "tokenizer %s: %s, %d tokens", tokenizer_source(*tokenizer),
                tokenizer_name(*tokenizer), tokenizer_vocab_size(*tokenizer));
    return token_record_open(&work, status);
}

/* The members that the options ask for. */
static size_t list_makes(const char *makes[5])
{
    size_t n = 0;

    if (decode) {
        makes[n++] = "text";
    } else if (work.chunk > 0) {
        makes[n++] = "passages";
    } else {
        makes[n++] = "tokens";
        makes[n++] = "n_tokens";
        if (tokenizer_has_pairs(work.tokenizer))
            makes[n++] = "types";
        if (work.max_length > 0)
            makes[n++] = "truncated";
    }
    if (work.pieces)
        makes[n++] = "pieces";
    return n;
}

int main(int argc, char **argv)
{
    const char *makes[5];
    struct stream_tool stream_tool = {.name = tool.name, .self = &work, .makes = makes};
    struct cli_operands operands;
    struct stream_options stream;
    struct tokenizer *tokenizer;
    struct status status;
    int exit_status;

    process_start();
    cli_parse(&tool, argc, argv, &operands);
    common_options_stream(&tool, &args, &operands, &stream);
    if (!open_all(&operands, &tokenizer, &status))
        cli_die(&tool, &status);
    stream_tool.n_makes = list_makes(makes);
    stream_tool.begin = begin;
    stream_tool.tokens = tokens;
    stream_tool.stats = stats;
    stream_tool.settings = settings;
    exit_status = stream_run(&stream, &stream_tool);
    token_record_close(&work);
    tokenizer_close(tokenizer);
    return exit_status;
}
