/* The options that several tools share: each row stands here once, a tool lists the macros it
 * wants in its table. Options that would mean nothing to a tool are not in it.
 *
 *     static struct common_args args = COMMON_ARGS_INIT;
 *     static const struct cli_option options[] = {
 *         {.kind = CLI_HEADING, .help = "Model"}, COMMON_MODEL_ROW(args), ...
 *         COMMON_RECORD_OPTIONS(args),
 *     };
 */
#ifndef CLI_COMMON_OPTIONS_H
#define CLI_COMMON_OPTIONS_H

#include <limits.h>
#include <stdint.h>

#include "cli/cli.h"
#include "cli/message.h"
#include "cli/stream.h"

struct common_max_errors {
    double value;
    bool percent;
};

struct common_expect {
    bool set;
    uint64_t n;
    const char *file; /* NULL: n */
};

struct common_every {
    uint64_t records; /* 0: seconds */
    double seconds;
};

struct common_args {
    const char *output, *errors, *retry, *stats;
    int on_error, existing, format; /* enum stream_on_error, _existing, _format */
    struct common_max_errors max_errors;
    struct common_expect expect;
    size_t max_line;
    int progress; /* -1: only on a terminal */
    bool quiet, verbose;
    const char *query, *map;
    const char *model;
    struct cli_strings adapters; /* as model_choice_make takes them */
    int threads;                 /* 0: as many as the machine gives */
    int batch;
    int quantize; /* enum quantize of model/model_files.h */
    size_t mem;   /* 0: no limit */
    uint64_t seed;
    struct jsonl_shard shard;
    bool resume, update, meta, plan;
    const char *dep_file;
    struct common_every checkpoint_every;
    double grace;
    const char *lock;
    double lock_wait;
};

#define COMMON_ARGS_INIT                                                                           \
    {                                                                                              \
        .max_line = STREAM_MAX_LINE_DEFAULT, .progress = -1, .batch = 16, .checkpoint_every = {    \
            .seconds = STREAM_CHECKPOINT_SECONDS                                                   \
        }                                                                                          \
    }

extern const char *const common_options_on_error[];   /* emit, skip, fail */
extern const char *const common_options_existing[];   /* error, replace, keep */
extern const char *const common_options_format[];     /* jsonl, lines */
extern const char *const common_options_log_format[]; /* text, json */
extern const char *const common_options_quantize[];   /* off, nf4, nf4-dq */
extern const char *const common_options_truncate[];   /* head, tail, error */
cli_parse_function common_options_max_errors;         /* N or P% into struct common_max_errors */
cli_parse_function common_options_expect;             /* N or FILE into struct common_expect */
cli_parse_function common_options_shard;              /* K/N or auto into struct jsonl_shard */
cli_parse_function common_options_every;              /* N or SECONDSs into struct common_every */

#define COMMON_MODEL_ROW(args, preset)                                                             \
    {                                                                                              \
        .name = "model", .letter = 'm', .kind = CLI_STRING, .value = &(args).model,                \
        .argument = "PATH", .fallback = preset,                                                    \
        .help = "the model: a folder, a file, ORG/NAME in the local Hugging Face cache, or the "   \
                "name of an installed model"                                                       \
    }

#define COMMON_ADAPTER_ROW(args)                                                                   \
    {                                                                                              \
        .name = "adapter", .kind = CLI_STRINGS, .value = &(args).adapters, .argument = "DIR",      \
        .help = "a LoRA adapter's folder, or NAME=DIR; may be repeated; a record's 'adapter' "     \
                "names one, or is null; without it the first",                                     \
        .fallback = "none"                                                                         \
    }

#define COMMON_QUANTIZE_ROW(args)                                                                  \
    {                                                                                              \
        .name = "quantize", .kind = CLI_CHOICE, .value = &(args).quantize, .argument = "TYPE",     \
        .choices = common_options_quantize,                                                        \
        .help = "round the linear layers of F32, F16 or BF16 safetensors to 4 bits when they are " \
                "loaded, as bitsandbytes does: NF4, without or (nf4-dq) with double quantisation"  \
    }

#define COMMON_THREADS_ROW(args)                                                                   \
    {                                                                                              \
        .name = "threads", .kind = CLI_INT, .value = &(args).threads, .min = 1, .max = 1024,       \
        .argument = "N", .fallback = "the physical cores this process may use",                    \
        .help = "threads to compute with; results do not depend on it"                             \
    }

#define COMMON_BATCH_ROW(args)                                                                     \
    {                                                                                              \
        .name = "batch", .letter = 'b', .kind = CLI_INT, .value = &(args).batch, .min = 1,         \
        .max = 1024, .argument = "N",                                                              \
        .help =                                                                                    \
            "texts computed together; more is faster and takes memory; results do not depend on "  \
            "it"                                                                                   \
    }

#define COMMON_MEM_ROW(args)                                                                       \
    {                                                                                              \
        .name = "mem", .kind = CLI_SIZE, .value = &(args).mem, .min = 1, .max = 0x1p60,            \
        .argument = "SIZE", .fallback = "no limit",                                                \
        .help =                                                                                    \
            "refuse at once, saying for what, if the run may need more memory; K, M and G are "    \
            "understood"                                                                           \
    }

#define COMMON_PLAN_ROW(args)                                                                      \
    {                                                                                              \
        .name = "plan", .kind = CLI_FLAG, .value = &(args).plan,                                   \
        .help = "compute nothing: read all records and say, as JSON, how long they are, which "    \
                "are bad, what memory the run needs and, with --stats of an earlier run, its time" \
    }

#define COMMON_SEED_ROW(args)                                                                      \
    {                                                                                              \
        .name = "seed", .kind = CLI_UINT64, .value = &(args).seed, .argument = "N",                \
        .help = "number from which all random choices follow"                                      \
    }

/* For the tools that read plain questions too. */
#define COMMON_QUESTION_OPTIONS(args)                                                              \
    {.name = "query",                                                                              \
     .kind = CLI_STRING,                                                                           \
     .value = &(args).query,                                                                       \
     .argument = "TEXT",                                                                           \
     .help = "this one question instead of any input"},                                            \
    {                                                                                              \
        .name = "format", .kind = CLI_CHOICE, .value = &(args).format, .argument = "NAME",         \
        .choices = common_options_format,                                                          \
        .help = "what a line is: a JSON object, or (lines) a plain question"                       \
    }

/* What becomes of records that fail, wherever the others go. */
#define COMMON_FAILURE_ROWS(args)                                                                  \
    {.name = "max-errors",                                                                         \
     .kind = CLI_CUSTOM,                                                                           \
     .value = &(args).max_errors,                                                                  \
     .parse = common_options_max_errors,                                                           \
     .argument = "N|P%",                                                                           \
     .fallback = "0",                                                                              \
     .help = "exit 0 while no more records than this fail, as a number or a share"},               \
    {                                                                                              \
        .name = "errors", .kind = CLI_STRING, .value = &(args).errors, .argument = "FILE",         \
        .help = "write failed lines here, as they came, with line number and reason"               \
    }

#define COMMON_EXPECT_ROW(args, result)                                                            \
    {                                                                                              \
        .name = "expect", .kind = CLI_CUSTOM, .value = &(args).expect,                             \
        .parse = common_options_expect, .argument = "N|FILE",                                      \
        .help = result " only if N records came in, or as many as FILE has"                        \
    }

#define COMMON_MAP_ROW(args)                                                                       \
    {                                                                                              \
        .name = "map", .kind = CLI_STRING, .value = &(args).map, .argument = "MEMBER=NAME,...",    \
        .help = "read members under other names, as query=question, or passages.text=contents "    \
                "inside a list"                                                                    \
    }

#define COMMON_DEP_FILE_ROW(args)                                                                  \
    {                                                                                              \
        .name = "dep-file", .kind = CLI_STRING, .value = &(args).dep_file, .argument = "FILE",     \
        .help = "with -o: write a rule for make here, of the output and of all files that were "   \
                "read for it"                                                                      \
    }

#define COMMON_MAX_LINE_ROW(args)                                                                  \
    {                                                                                              \
        .name = "max-line", .kind = CLI_SIZE, .value = &(args).max_line, .min = 1,                 \
        .max = 1024.0 * 1024 * 1024, .argument = "BYTES",                                          \
        .help = "a longer line fails; K, M and G are understood"                                   \
    }

#define COMMON_MESSAGE_OPTIONS(args)                                                               \
    {.kind = CLI_HEADING, .help = "Messages"},                                                     \
        {.name = "log-format",                                                                     \
         .kind = CLI_CHOICE,                                                                       \
         .value = &message_format,                                                                 \
         .argument = "NAME",                                                                       \
         .choices = common_options_log_format,                                                     \
         .help = "messages on standard error: lines of text, or a JSON object a line"},            \
        {.name = "stats",                                                                          \
         .kind = CLI_STRING,                                                                       \
         .value = &(args).stats,                                                                   \
         .argument = "FILE",                                                                       \
         .help = "write statistics of the run here, as JSON"},                                     \
        {.name = "progress",                                                                       \
         .kind = CLI_SWITCH,                                                                       \
         .value = &(args).progress,                                                                \
         .fallback = "on a terminal",                                                              \
         .help = "show records, rate and remaining time on standard error"},                       \
        {.name = "quiet",                                                                          \
         .letter = 'q',                                                                            \
         .kind = CLI_FLAG,                                                                         \
         .value = &(args).quiet,                                                                   \
         .help = "only what ends the run"},                                                        \
    {                                                                                              \
        .name = "verbose", .letter = 'v', .kind = CLI_FLAG, .value = &(args).verbose,              \
        .help = "say what is used, and a summary at the end"                                       \
    }

/* For every tool that passes records on: records in, records out, and what is said about it. */
#define COMMON_RECORD_OPTIONS(args)                                                                \
    {.kind = CLI_HEADING, .help = "Records"},                                                      \
        {.name = "output",                                                                         \
         .letter = 'o',                                                                            \
         .kind = CLI_STRING,                                                                       \
         .value = &(args).output,                                                                  \
         .argument = "FILE",                                                                       \
         .help = "write here instead of standard output; appears only when complete; gzip by "     \
                 "the name's .gz"},                                                                \
        {.name = "update",                                                                         \
         .kind = CLI_FLAG,                                                                         \
         .value = &(args).update,                                                                  \
         .help = "with -o: leave a file that would stay the same alone, its time included"},       \
        COMMON_DEP_FILE_ROW(args),                                                                 \
        {.name = "meta",                                                                           \
         .kind = CLI_FLAG,                                                                         \
         .value = &(args).meta,                                                                    \
         .help = "with -o: write beside the output, as FILE.meta.json, what it was made of"},      \
        {.name = "shard",                                                                          \
         .kind = CLI_CUSTOM,                                                                       \
         .value = &(args).shard,                                                                   \
         .parse = common_options_shard,                                                            \
         .argument = "K/N",                                                                        \
         .fallback = "all",                                                                        \
         .help = "part K of N of the one file: the N outputs one after the other are that of the " \
                 "whole; auto: the task of a Slurm array"},                                        \
        {.name = "resume",                                                                         \
         .kind = CLI_FLAG,                                                                         \
         .value = &(args).resume,                                                                  \
         .help = "with -o: write down now and then where the run is, beside the output; after "    \
                 "any interruption the same command goes on from there"},                          \
        {.name = "checkpoint-every",                                                               \
         .kind = CLI_CUSTOM,                                                                       \
         .value = &(args).checkpoint_every,                                                        \
         .parse = common_options_every,                                                            \
         .argument = "N|Ss",                                                                       \
         .fallback = "20s",                                                                        \
         .help = "how often --resume does: every N records, or S seconds"},                        \
        {.name = "grace",                                                                          \
         .kind = CLI_FLOAT,                                                                        \
         .value = &(args).grace,                                                                   \
         .max = 1e6,                                                                               \
         .argument = "SECONDS",                                                                    \
         .help = "after SIGTERM, time to finish records that have been begun"},                    \
        {.name = "lock",                                                                           \
         .kind = CLI_STRING,                                                                       \
         .value = &(args).lock,                                                                    \
         .argument = "FILE",                                                                       \
         .help = "one run at a time: exit 75 at once where another one holds this lock"},          \
        {.name = "lock-wait",                                                                      \
         .kind = CLI_FLOAT,                                                                        \
         .value = &(args).lock_wait,                                                               \
         .max = 1e9,                                                                               \
         .argument = "SECONDS",                                                                    \
         .help = "wait for it so long"},                                                           \
        COMMON_MAP_ROW(args),                                                                      \
        {.name = "on-error",                                                                       \
         .kind = CLI_CHOICE,                                                                       \
         .value = &(args).on_error,                                                                \
         .argument = "HOW",                                                                        \
         .choices = common_options_on_error,                                                       \
         .help = "what becomes of a record that fails: an error record in its place, nothing, or " \
                 "the end of the run"},                                                            \
        COMMON_FAILURE_ROWS(args),                                                                 \
        {.name = "retry",                                                                          \
         .kind = CLI_STRING,                                                                       \
         .value = &(args).retry,                                                                   \
         .argument = "FILE",                                                                       \
         .help = "the input is an earlier output: lines of its --errors file, whose 'raw' was "    \
                 "mended, take their places; the others pass (--existing keep)"},                  \
        COMMON_EXPECT_ROW(args, "with -o: the output appears"),                                    \
        {.name = "existing",                                                                       \
         .kind = CLI_CHOICE,                                                                       \
         .value = &(args).existing,                                                                \
         .argument = "HOW",                                                                        \
         .choices = common_options_existing,                                                       \
         .help = "what to do with members that are there already: fail the record, replace "       \
                 "them, or keep them and fill gaps"},                                              \
        COMMON_MAX_LINE_ROW(args), COMMON_MESSAGE_OPTIONS(args)

/* What the stream needs; from here on the tool is in its sandbox. Ends the program with the short
 * help when there is nothing to read, and with a message when options do not fit together or a file
 * cannot be read. */
void common_options_stream(const struct cli_tool *tool, struct common_args *args,
                           const struct cli_operands *operands, struct stream_options *stream);

#endif
