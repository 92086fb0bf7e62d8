/* medrat-rerank: query, passages and rationales -> ranked, selected and explained evidence. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "cli/common_options.h"
#include "cli/message.h"
#include "cli/model_path.h"
#include "cli/process.h"
#include "rank/reranker.h"
#include "run/engine.h"

static struct common_args args = COMMON_ARGS_INIT;
static const char *encoder_option;
static const char *cross_option;
static int method; /* enum rerank_method */
static int window = -1;
static struct reranker reranker;
static struct engine engine; /* without a device for bm25 */

static bool parse_cut(void *value, const char *argument, struct status *status)
{
    return cut_parse(value, argument, status);
}

static const struct cli_option options[] = {
    {.kind = CLI_HEADING, .help = "Selection"},
    {"method", 0, CLI_CHOICE, &method, 0, 0, "NAME",
     "meteora: pair, pool and neighbours; pair: the best passage of each rationale; pool: the "
     "rationales together; query: the query alone; cross: a cross-encoder reads query and passage; "
     "bm25: the query's words, without an encoder",
     NULL, reranker_methods, NULL},
    {"cut", 0, CLI_CUSTOM, &reranker.cut, 0, 0, "RULE",
     "how many are kept by pool, query, cross or bm25: elbow, top:N, or score:X and better",
     "elbow", NULL, parse_cut},
    {"window", 0, CLI_INT, &window, 0, 100, "N",
     "neighbours of a selected passage to add on each side: of the same doc by pos, or in input "
     "order where passages have neither",
     "1 with meteora, else 0", NULL, NULL},
    {.kind = CLI_HEADING, .help = "Encoder"},
    {"encoder", 'm', CLI_STRING, &encoder_option, 0, 0, "MODEL",
     "the sentence encoder: a sentence-transformers folder, a GGUF file of a BERT, or the name of "
     "an "
     "installed one",
     "the demo model minilm", NULL, NULL},
    {"cross-encoder", 0, CLI_STRING, &cross_option, 0, 0, "DIR",
     "for --method cross: the folder of a BertForSequenceClassification with one label, or the "
     "name "
     "of an installed one",
     NULL, NULL, NULL},
    COMMON_THREADS_ROW(args),
    COMMON_BATCH_ROW(args),
    COMMON_RECORD_OPTIONS(args),
};

static const char *const reads[] = {"id",           "query",        "rationales",
                                    "passages",     "passages.id",  "passages.text",
                                    "passages.doc", "passages.pos", NULL};

static const struct cli_tool tool = {
    .name = "medrat-rerank",
    .summary = "rank, select and explain passages by the rationales of their question",
    .usage = "[OPTION]... [FILE]...",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .reads = reads,
    .no_input_hint = "medrat-gen examples/questions.jsonl | medrat-rerank | examples/show",
};

static void finish(void *self, struct job *job)
{
    struct status status;

    if (reranker_finish(self, job->work, &job->members, &status))
        job_done(job);
    else
        job_fail(job, &status);
}

static bool begin(void *self, struct job *job, struct status *status)
{
    job->work = reranker_begin(self, &job->record, job, status);
    if (job->work && reranker_ready(job->work))
        finish(self, job);
    return job->work != NULL;
}

/* One batch of texts, and the records that are complete by it. */
static bool step(void *self, struct status *status)
{
    struct job *job;

    if (!reranker_embed(self, status))
        return false;
    while ((job = reranker_next(self)))
        finish(self, job);
    return true;
}

static void release(void *self, struct job *job)
{
    reranker_free(self, job->work);
}

static uint64_t tokens(void *self)
{
    return ((const struct reranker *)self)->done.n_tokens;
}

static void stats(void *self, struct buf *members)
{
    reranker_stats(self, members);
    if (engine.device)
        engine_write_stats(&engine, members);
}

static void settings(void *self, json_t *list)
{
    struct buf cut = {0};

    (void)self;
    cut_name(&reranker.cut, &cut);
    json_object_set_new(list, "cut", json_string(cut.data));
    buf_release(&cut);
    if (reranker.encoder)
        json_object_set_new(list, "encoder", json_string(encoder_name(reranker.encoder)));
    if (reranker.cross)
        json_object_set_new(list, "cross-encoder", json_string(cross_encoder_name(reranker.cross)));
    if (engine.device)
        engine_settings(&engine, list);
}

static void check_usage(const struct cli_operands *operands)
{
    const bool encoder = cli_source(&tool, operands, &encoder_option) == CLI_FROM_FLAG;
    const bool cross = cli_source(&tool, operands, &cross_option) == CLI_FROM_FLAG;
    struct status status;

    if (encoder && (method == RERANK_BM25 || method == RERANK_CROSS))
        status_set(&status, STATUS_USAGE, "--method %s uses no --encoder",
                   reranker_methods[method]);
    else if (cross && method != RERANK_CROSS)
        status_set(&status, STATUS_USAGE, "--method %s uses no --cross-encoder",
                   reranker_methods[method]);
    else if (!cross_option && method == RERANK_CROSS)
        status_set(&status, STATUS_USAGE, "--method cross needs --cross-encoder DIR");
    else
        return;
    cli_die(&tool, &status);
}

static void describe_encoder(void)
{
    struct buf how = {0};

    encoder_describe(reranker.encoder, &how);
    message(MESSAGE_INFO, "encoder %s on %s: %s", encoder_name(reranker.encoder),
            engine.backend->describe(engine.device), how.data);
    buf_release(&how);
}

static bool open_encoder(const char *path, struct status *status)
{
    reranker.encoder = encoder_open(path, engine.backend, engine.device, status);
    if (reranker.encoder && args.verbose)
        describe_encoder();
    return reranker.encoder != NULL;
}

/* A score is one number: which of several labels it were, a config.json does not say. */
static bool open_cross_encoder(const char *path, struct status *status)
{
    reranker.cross = cross_encoder_open(path, engine.backend, engine.device, status);
    if (!reranker.cross)
        return false;
    if (cross_encoder_n_labels(reranker.cross) != 1)
        return status_fail(status, STATUS_CONFIG,
                           "%s: a classifier of %d labels; --method cross takes one of 1 label",
                           path, cross_encoder_n_labels(reranker.cross));
    if (args.verbose)
        message(MESSAGE_INFO, "cross-encoder %s on %s: %d tokens%s, tokenizer %s",
                cross_encoder_name(reranker.cross), engine.backend->describe(engine.device),
                cross_encoder_max_tokens(reranker.cross),
                cross_encoder_prompt(reranker.cross)[0] ? ", with its prompt" : "",
                cross_encoder_tokenizer(reranker.cross));
    return true;
}

static bool open_model(struct status *status)
{
    const bool cross = method == RERANK_CROSS;
    struct buf path = {0};
    bool ok;

    ok = model_path_resolve(cross ? cross_option : encoder_option, "minilm", args.quiet, &path,
                            status) &&
         engine_open_device(&engine, "cpu", args.threads, status) &&
         (cross ? open_cross_encoder(path.data, status) : open_encoder(path.data, status));
    buf_release(&path);
    return ok;
}

int main(int argc, char **argv)
{
    static const char *const makes[] = {"evidence", "selection"};
    const struct stream_tool stream_tool = {
        .name = tool.name,
        .self = &reranker,
        .makes = makes,
        .n_makes = 2,
        .begin = begin,
        .step = step,
        .release = release,
        .tokens = tokens,
        .stats = stats,
        .settings = settings,
    };
    struct cli_operands operands;
    struct stream_options stream;
    struct status status;

    process_start();
    cli_parse(&tool, argc, argv, &operands);
    check_usage(&operands);
    common_options_stream(&tool, &args, &operands, &stream);
    reranker.method = (enum rerank_method)method;
    reranker.window = window < 0 ? method == RERANK_METEORA : (size_t)window;
    reranker.batch = (size_t)args.batch;
    if (method != RERANK_BM25 && !open_model(&status))
        cli_die(&tool, &status);
    return stream_run(&stream, &stream_tool);
}
