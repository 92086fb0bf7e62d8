/* medrat-train: texts, or questions with rationales -> a LoRA adapter. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "cli/common_options.h"
#include "cli/dep_file.h"
#include "cli/message.h"
#include "cli/model_path.h"
#include "cli/plan.h"
#include "cli/process.h"
#include "cli/progress.h"
#include "cli/run_stats.h"
#include "cli/share_path.h"
#include "cli/signals.h"
#include "formats/json_write.h"
#include "train/train_card.h"
#include "train/train_forecast.h"
#include "train/train_setup.h"

/* The card's: LoRA of rank 16 on the attention, 2e-4, 2 x 4 rows a step, three epochs, seed 42. */
static struct common_args args = {.max_line = STREAM_MAX_LINE_DEFAULT, .progress = -1, .seed = 42};
static struct trainer_options wanted = {
    .batch = 2, .accumulation = 4, .epochs = 3, .lr = 2e-4, .clip = 1};
static struct {
    int rank;
    double alpha, dropout;
    bool rslora;
    unsigned targets;
} lora_args = {
    .rank = 16,
    .alpha = 32,
    .dropout = 0.05,
    .targets = 1u << LORA_Q_PROJ | 1u << LORA_K_PROJ | 1u << LORA_V_PROJ | 1u << LORA_O_PROJ,
};
static struct common_max_errors warmup; /* a number, or a share */
static const char *recipe_option = "rationales";
static const char *validation_path, *init_option, *base_name;
static int rows_option, truncate_option, type_option, schedule_option, on_error_option;
static size_t max_length = 1024;
static bool completion_only, force, restart;

static const char *const rows_choices[] = {"auto", "recipe", NULL};
static const char *const truncate_choices[] = {"head", "error", NULL};
static const char *const type_choices[] = {"f32", "f16", NULL};
static const char *const schedule_choices[] = {"linear", "cosine", "constant", NULL};
static const char *const on_error_choices[] = {"skip", "fail", NULL};

static bool parse_targets(void *value, const char *argument, struct status *status)
{
    return lora_targets_parse(value, argument, status);
}

static const struct cli_option options[] = {
    {.kind = CLI_HEADING, .help = "Rows"},
    {"rows", 0, CLI_CHOICE, &rows_option, 0, 0, "HOW",
     "auto: what medrat-score reads (tokens, context and continuation, prompt and completion, "
     "text), else query and rationales; recipe: query and rationales, whatever else there is",
     NULL, rows_choices, NULL},
    {"recipe", 'r', CLI_STRING, &recipe_option, 0, 0, "NAME|FILE",
     "how a query becomes the prompt that the rationales follow", NULL, NULL, NULL},
    {"completion-only", 0, CLI_FLAG, &completion_only, 0, 0, NULL,
     "learn the completion alone: of prompt and completion, or the rationales, or of a text what "
     "follows its '### Response:' line",
     NULL, NULL, NULL},
    {"max-length", 0, CLI_SIZE, &max_length, 2, 1 << 20, "N",
     "tokens of a row at most, the end token included; the rest is cut and counted", NULL, NULL,
     NULL},
    {"truncate", 0, CLI_CHOICE, &truncate_option, 0, 0, "HOW",
     "what stays of a row that is too long; error: the record fails", NULL, truncate_choices, NULL},
    {.kind = CLI_HEADING, .help = "Training"},
    {"epochs", 0, CLI_UINT64, &wanted.epochs, 0, 0, "N", "times that each row is seen", NULL, NULL,
     NULL},
    {"steps", 0, CLI_UINT64, &wanted.steps, 0, 0, "N", "steps, instead of epochs",
     "those of the epochs", NULL, NULL},
    {"batch", 'b', CLI_INT, &wanted.batch, 1, 1024, "N",
     "rows computed together; more is faster and takes memory", NULL, NULL, NULL},
    {"accumulation", 0, CLI_INT, &wanted.accumulation, 1, 65536, "N", "batches of a step", NULL,
     NULL, NULL},
    {"lr", 0, CLI_FLOAT, &wanted.lr, 0, 1e6, "X", "learning rate, at its highest", NULL, NULL,
     NULL},
    {"schedule", 0, CLI_CHOICE, &schedule_option, 0, 0, "NAME",
     "how it falls behind the warm-up: to nothing along a line or half a cosine, or not", NULL,
     schedule_choices, NULL},
    {"warmup", 0, CLI_CUSTOM, &warmup, 0, 0, "N|P%",
     "steps in which it rises from nothing, as a number or a share of all", "0", NULL,
     common_options_max_errors},
    {"weight-decay", 0, CLI_FLOAT, &wanted.weight_decay, 0, 1, "X", "AdamW's", NULL, NULL, NULL},
    {"clip", 0, CLI_FLOAT, &wanted.clip, 0, 1e9, "X",
     "gradients of a larger norm are made so long; 0: never", NULL, NULL, NULL},
    COMMON_SEED_ROW(args),
    {"card", 0, CLI_FLAG, &wanted.card, 0, 0, NULL,
     "the original fine-tune's arithmetic: no end token is learned, the mean of the batches' "
     "means, steps that reach over the end of an epoch",
     NULL, NULL, NULL},
    {.kind = CLI_HEADING, .help = "Adapter"},
    {"rank", 0, CLI_INT, &lora_args.rank, 1, LORA_MAX_RANK, "N", "of its matrices", NULL, NULL,
     NULL},
    {"alpha", 0, CLI_FLOAT, &lora_args.alpha, 1e-3, 1e6, "X", "its scale is alpha / rank", NULL,
     NULL, NULL},
    {"dropout", 0, CLI_FLOAT, &lora_args.dropout, 0, 0.99, "P",
     "share of its inputs that a step leaves out", NULL, NULL, NULL},
    {"targets", 0, CLI_CUSTOM, &lora_args.targets, 0, 0, "LIST",
     "modules that get one: q, k, v, o, gate, up, down, or all", "q,k,v,o", NULL, parse_targets},
    {"rslora", 0, CLI_FLAG, &lora_args.rslora, 0, 0, NULL,
     "its scale is alpha / sqrt(rank) instead", NULL, NULL, NULL},
    {"init", 0, CLI_STRING, &init_option, 0, 0, "DIR",
     "begin with this adapter, whose rank, alpha and targets count", "at random", NULL, NULL},
    {"type", 0, CLI_CHOICE, &type_option, 0, 0, "NAME", "of the numbers in its file", NULL,
     type_choices, NULL},
    {"base-name", 0, CLI_STRING, &base_name, 0, 0, "ORG/NAME",
     "what its config calls the base model", "the model's name", NULL, NULL},
    {.kind = CLI_HEADING, .help = "Validation"},
    {"validation", 0, CLI_STRING, &validation_path, 0, 0, "FILE",
     "rows that are not trained on: the adapter that finds them likeliest is kept", "none", NULL,
     NULL},
    {"validate-every", 0, CLI_UINT64, &wanted.validate_every, 0, 0, "N", "steps between two",
     "an epoch's", NULL, NULL},
    {"patience", 0, CLI_UINT64, &wanted.patience, 0, 0, "N",
     "end after so many validations that were none better; 0: never", NULL, NULL, NULL},
    {.kind = CLI_HEADING, .help = "Model"},
    COMMON_MODEL_ROW(args, "the demo model smollm2"),
    COMMON_QUANTIZE_ROW(args),
    COMMON_THREADS_ROW(args),
    COMMON_MEM_ROW(args),
    COMMON_PLAN_ROW(args),
    {.kind = CLI_HEADING, .help = "Output"},
    {"output", 'o', CLI_STRING, &args.output, 0, 0, "DIR",
     "the adapter's folder, which must not be there; made as DIR.part, appears when complete",
     "must be given", NULL, NULL},
    COMMON_DEP_FILE_ROW(args),
    {"force", 0, CLI_FLAG, &force, 0, 0, NULL, "replace the folder if it is there", NULL, NULL,
     NULL},
    {"checkpoint-every", 0, CLI_UINT64, &wanted.checkpoint_every, 0, 0, "N",
     "write down where the run is after so many steps, too; the same command goes on from there",
     "every two minutes", NULL, NULL},
    {"restart", 0, CLI_FLAG, &restart, 0, 0, NULL,
     "begin anew, whatever an earlier run has written down", NULL, NULL, NULL},
    {.kind = CLI_HEADING, .help = "Records"},
    {"on-error", 0, CLI_CHOICE, &on_error_option, 0, 0, "HOW",
     "what becomes of a record that fails: it is left out, or ends the run", NULL, on_error_choices,
     NULL},
    COMMON_MAP_ROW(args),
    COMMON_FAILURE_ROWS(args),
    COMMON_EXPECT_ROW(args, "train"),
    COMMON_MAX_LINE_ROW(args),
    COMMON_MESSAGE_OPTIONS(args),
};

/* What --map may rename beside the recipe's members. */
static const char *const reads[] = {"id",         "tokens", "context", "continuation", "prompt",
                                    "completion", "text",   "query",   "rationales",   NULL};

static const struct cli_tool tool = {
    .name = "medrat-train",
    .summary = "fine-tune a language model: a LoRA adapter from texts",
    .usage = "[OPTION]... -o DIR [FILE]...",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .no_input_hint = "medrat-train -o my-adapter rows.jsonl",
};

/* What the tool has in hand: rows first, for which a tokenizer is enough; the model behind them. */
static struct {
    const struct cli_operands *operands;
    struct buf model_path, init_path;
    struct recipe recipe;
    struct model_config config;
    struct tokenizer *tokenizer;
    struct train_rows_options row_options;
    struct train_rows rows, validation;
    struct train_setup setup;
    struct adapter_place place;
    struct trainer trainer;
    struct run_stats trained; /* records: rows gone through; position: steps */
    uint64_t trained_tokens;
    struct progress progress;
} run = {.place.lock = -1};

static bool was_given(const void *value)
{
    return cli_source(&tool, run.operands, value) != CLI_FROM_DEFAULT;
}

/* -- before the rows -- */

/* A model without a tokenizer can be trained on records with `tokens`. */
static void open_tokenizer(const struct model_files *files)
{
    struct status why;

    run.tokenizer = files->is_gguf ? tokenizer_open_gguf(&files->gguf, files->path, &why)
                                   : tokenizer_open_folder(files->path, &why);
    if (!run.tokenizer && !args.quiet)
        message(MESSAGE_INFO, "only 'tokens' can be trained on: %s", why.message);
}

static bool look_at_model(struct status *status)
{
    struct model_files files;

    if (!model_files_open(&files, run.model_path.data, status))
        return false;
    run.config = files.config;
    if (files.config.architecture == ARCH_LLAMA)
        open_tokenizer(&files);
    model_files_close(&files);
    return run.config.architecture == ARCH_LLAMA ||
           status_fail(status, STATUS_CONFIG, "%s: is an encoder: only decoders are trained",
                       run.model_path.data);
}

/* The original's pad token was the end token, whose targets are left out wherever it stands. */
static void set_ends(void)
{
    const int32_t end = run.config.n_eos_ids > 0 ? run.config.eos_ids[0] : -1;

    run.row_options.end_id = wanted.card ? -1 : end;
    run.row_options.masked_id = wanted.card ? end : -1;
}

static bool set_row_options(struct status *status)
{
    struct train_rows_options *o = &run.row_options;
    const size_t context = (size_t)run.config.max_seq_len;

    if (max_length > context && was_given(&max_length))
        return status_fail(status, STATUS_USAGE,
                           "option '--max-length': %zu, but the model takes %zu tokens", max_length,
                           context);
    o->prompt = (struct prompt_options){
        .recipe = &run.recipe,
        .tokenizer = run.tokenizer,
        .context = context,
        .truncate = truncate_option ? TRUNCATE_ERROR : TRUNCATE_HEAD,
    };
    o->max_length = max_length < context ? max_length : context;
    o->vocab_size = run.config.vocab_size;
    o->completion_only = completion_only;
    o->recipe_only = rows_option == 1;
    o->max_bytes = args.mem;
    set_ends();
    return prompt_open(&o->prompt, status);
}

static bool find_init(struct status *status)
{
    return !init_option || model_path_find(init_option, &run.init_path) ||
           status_fail(status, STATUS_NO_INPUT, "adapter '%s': no such folder", init_option);
}

static bool check_options(struct status *status)
{
    if (!args.output && !args.plan)
        return status_fail(status, STATUS_USAGE,
                           "option '--output' must say where the adapter is to go");
    if (wanted.steps == 0 && wanted.epochs == 0)
        return status_fail(status, STATUS_USAGE, "neither epochs nor steps are asked for");
    wanted.schedule = (enum lr_schedule_kind)schedule_option;
    wanted.dtype = type_option ? DTYPE_F16 : DTYPE_F32;
    wanted.warmup = warmup.value;
    wanted.warmup_percent = warmup.percent;
    wanted.seed = args.seed;
    return !args.output || adapter_place_check(args.output, force, status);
}

/* All that can be known before a row is read. */
static bool recipe_takes(const void *self, const char *member)
{
    return recipe_reads(self, member);
}

static bool prepare(const struct member_map *map, struct status *status)
{
    struct buf path = {0};
    const bool ok =
        check_options(status) && share_path_recipe(recipe_option, &path, status) &&
        recipe_read(&run.recipe, path.data, status) &&
        member_map_check(map, reads, recipe_takes, &run.recipe, status) && find_init(status) &&
        model_path_resolve(args.model, "smollm2", args.quiet, &run.model_path, status) &&
        look_at_model(status) && set_row_options(status);

    buf_release(&path);
    return ok;
}

/* -- the model -- */

static unsigned asked(void)
{
    return (was_given(&lora_args.rank) ? TRAIN_SETUP_RANK : 0u) |
           (was_given(&lora_args.alpha) ? TRAIN_SETUP_ALPHA : 0u) |
           (was_given(&lora_args.rslora) ? TRAIN_SETUP_RSLORA : 0u) |
           (was_given(&lora_args.targets) ? TRAIN_SETUP_TARGETS : 0u);
}

static bool open_setup(struct status *status)
{
    const struct train_setup_options o = {
        .model_path = run.model_path.data,
        .config = &run.config,
        .quantize = (enum quantize)args.quantize,
        .threads = args.threads,
        .mem = args.mem,
        .headers = args.plan,
        .init = init_option ? run.init_path.data : NULL,
        .lora = {.rank = lora_args.rank,
                 .alpha = (float)lora_args.alpha,
                 .dropout = (float)lora_args.dropout,
                 .rslora = lora_args.rslora,
                 .targets = lora_args.targets},
        .asked = asked(),
        .base_name = base_name,
        .trainer = &wanted,
        .rows = &run.rows,
        .validation = &run.validation,
    };

    tokenizer_close(run.tokenizer); /* the model brings its own */
    run.tokenizer = NULL;
    return train_setup_open(&run.setup, &o, status);
}

/* -- what is said -- */

static bool shall_stop(void *self)
{
    (void)self;
    return signals_caught() != 0;
}

static void tell_step(void *self, const struct train_log_step *step, uint64_t rows)
{
    (void)self;
    run.trained.n_records += rows;
    run.trained.n_tokens += step->tokens;
    run.trained.position = step->step;
    run.trained_tokens += step->tokens;
    if (args.verbose && !run.progress.on)
        message(MESSAGE_INFO, "step %" PRIu64 ": loss %.4f, lr %.3g, gradient norm %.3g",
                step->step, step->loss, step->lr, step->gradient_norm);
    progress_update(&run.progress, &run.trained);
}

static void tell_validation(void *self, const struct train_log_validation *v)
{
    (void)self;
    progress_clear(&run.progress);
    if (args.verbose || run.progress.on)
        message(MESSAGE_INFO, "step %" PRIu64 ": validation loss %.4f, perplexity %.3f%s", v->step,
                v->loss, exp(v->loss), v->is_best ? ", the best so far" : "");
}

static const struct trainer_hooks hooks = {
    .stop = shall_stop, .stepped = tell_step, .validated = tell_validation};

static void tell_rows(const char *what, const struct train_rows *rows)
{
    if (args.verbose)
        message(MESSAGE_INFO, "%s: %zu rows, %zu tokens, %zu targets", what, rows->n,
                rows->n_tokens, rows->n_targets);
    if (!args.quiet && rows->n_truncated > 0)
        message(MESSAGE_INFO, "%s: %zu of %zu rows were cut", what, rows->n_truncated, rows->n);
}

static void tell_run(void)
{
    const struct train_memory *memory = &run.setup.memory;

    if (args.verbose)
        message(MESSAGE_INFO,
                "%s on %s, %zu parameters, %" PRIu64 " steps, %.1f MiB of memory at most%s",
                run.setup.engine.model->name,
                run.setup.engine.backend->describe(run.setup.engine.device),
                run.setup.lora->n_values, run.trainer.schedule.steps,
                (double)memory->total / (1 << 20),
                memory->recompute ? ", activations are computed again" : "");
    if (!args.quiet && run.trainer.state.step > 0)
        message(MESSAGE_INFO, "goes on after step %" PRIu64 " of %" PRIu64 "",
                run.trainer.state.step, run.trainer.schedule.steps);
}

/* -- the run -- */

static bool open_trainer(struct status *status)
{
    run.trainer = (struct trainer){
        .options = &run.setup.trainer,
        .rows = &run.rows,
        .validation = &run.validation,
        .lora = run.setup.lora,
        .pass = run.setup.pass,
        .place = &run.place,
        .hooks = &hooks,
    };
    return trainer_open(&run.trainer, run.setup.settings, status);
}

/* A folder's time is not that of what is in it. */
static bool write_dep_file(struct status *status)
{
    struct buf target = {0};
    bool ok;

    if (!args.dep_file)
        return true;
    buf_printf(&target, "%s/adapter_model.safetensors", args.output);
    ok = dep_file_write(args.dep_file, target.data, status);
    buf_release(&target);
    return ok;
}

static bool train(struct status *status)
{
    const bool on = args.progress > 0 || (args.progress < 0 && !args.quiet);

    run.trained.total_size = run.trainer.schedule.steps;
    run.trained.position = run.trained.first_position = run.trainer.state.step;
    run_stats_start(&run.trained);
    progress_start(&run.progress, tool.name, on);
    if (args.progress < 0 && !run.progress.on_terminal)
        run.progress.on = false;
    switch (trainer_run(&run.trainer, status)) {
    case TRAINER_FAILED:
        return false;
    case TRAINER_STOPPED:
        progress_clear(&run.progress);
        return status_fail(status, STATUS_AGAIN,
                           "stopped after step %" PRIu64 " of %" PRIu64
                           ": the same command goes on from there",
                           run.trainer.state.step, run.trainer.schedule.steps);
    case TRAINER_DONE:
        break;
    }
    progress_end(&run.progress, &run.trained);
    return train_card_write(&run.trainer, status) && adapter_place_finish(&run.place, status) &&
           write_dep_file(status);
}

/* -- records -- */

static bool begin(void *self, struct job *job, struct status *status)
{
    if (!train_rows_add(self, &run.row_options, &job->record, status))
        return false;
    job_done(job);
    return true;
}

/* All rows are in memory. */
static bool complete(void *self, const struct run_stats *counts, struct status *status)
{
    (void)self;
    (void)counts;
    if (run.rows.n == 0)
        return status_fail(status, STATUS_DATA, "no row to train on came in");
    tell_rows("training", &run.rows);
    if (!open_setup(status) || !adapter_place_open(&run.place, args.output, restart, status) ||
        !open_trainer(status))
        return false;
    tell_run();
    return train(status);
}

static void stats(void *self, struct buf *members)
{
    const struct checkpoint *state = &run.trainer.state;

    (void)self;
    if (run.setup.engine.device) {
        engine_write_stats(&run.setup.engine, members);
        json_write_comma(members);
    }
    json_write_name(members, "rows");
    json_write_uint(members, run.rows.n);
    json_write_name(members, "tokens");
    json_write_uint(members, run.rows.n_tokens);
    json_write_name(members, "targets");
    json_write_uint(members, run.rows.n_targets);
    json_write_name(members, "truncated");
    json_write_uint(members, run.rows.n_truncated);
    json_write_name(members, "steps");
    json_write_uint(members, state->step);
    json_write_name(members, "trained_tokens");
    json_write_uint(members, run.trained_tokens);
    if (state->best_step > 0) {
        json_write_name(members, "best_step");
        json_write_uint(members, state->best_step);
        json_write_name(members, "validation_loss");
        json_write_double(members, state->best);
    }
}

/* -- the plan -- */

/* All rows are in memory: what is left to see is whether the model, and what it takes, fit. */
static bool complete_plan(void *self, const struct run_stats *counts, struct status *status)
{
    (void)self;
    (void)counts;
    if (run.rows.n == 0)
        return status_fail(status, STATUS_DATA, "no row to train on came in");
    return open_setup(status);
}

static void plan_stats(void *self, struct buf *members)
{
    const struct train_forecast forecast = {
        .setup = &run.setup, .rows = &run.rows, .stats = args.stats};

    stats(self, members);
    if (!run.setup.settings)
        return; /* it was not opened, or not to its end */
    json_write_comma(members);
    train_forecast_write(&forecast, members);
}

static int plan(const struct stream_options *stream, const struct stream_tool *trainer)
{
    struct stream_tool planner = *trainer;

    planner.complete = complete_plan;
    planner.stats = plan_stats;
    return plan_run(stream, &planner);
}

/* Before the rows, so that a mistake in this file is told before hours of training. 0: go on. */
static int read_validation(const struct stream_options *rows)
{
    const struct stream_tool reader = {
        .name = tool.name, .self = &run.validation, .begin = begin, .takes_all = true};
    struct stream_options stream = *rows;
    struct status status;
    int exit_status;

    if (!validation_path)
        return 0;
    stream.files = &validation_path;
    stream.n_files = 1;
    stream.expect_set = false;
    stream.expect_file = stream.errors = stream.stats = NULL;
    stream.verbose = false;
    exit_status = stream_run(&stream, &reader);
    if (exit_status > status_exit_code(STATUS_INPUT))
        return exit_status;
    if (run.validation.n == 0) {
        status_set(&status, STATUS_DATA, "%s: no row came in", validation_path);
        cli_die(&tool, &status);
    }
    tell_rows("validation", &run.validation);
    return exit_status;
}

static void close_all(void)
{
    trainer_close(&run.trainer);
    adapter_place_close(&run.place);
    train_setup_close(&run.setup);
    train_rows_release(&run.rows);
    train_rows_release(&run.validation);
    tokenizer_close(run.tokenizer);
    recipe_release(&run.recipe);
    buf_release(&run.model_path);
    buf_release(&run.init_path);
}

int main(int argc, char **argv)
{
    const struct stream_tool stream_tool = {
        .name = tool.name,
        .self = &run.rows,
        .begin = begin,
        .stats = stats,
        .complete = complete,
        .takes_all = true,
    };
    struct cli_operands operands;
    struct stream_options stream;
    struct status status;
    int validation_status, exit_status;

    process_start();
    cli_parse(&tool, argc, argv, &operands);
    run.operands = &operands;
    common_options_stream(&tool, &args, &operands, &stream);
    stream.on_error = on_error_option ? STREAM_FAIL : STREAM_SKIP;
    stream.output = stream.dep_file = NULL;
    if (!prepare(&stream.map, &status))
        cli_die(&tool, &status);
    validation_status = read_validation(&stream);
    if (validation_status > status_exit_code(STATUS_INPUT))
        return validation_status;
    exit_status = args.plan ? plan(&stream, &stream_tool) : stream_run(&stream, &stream_tool);
    close_all();
    if (args.plan && validation_status > 0)
        validation_status = status_exit_code(STATUS_DATA);
    return exit_status > 0 ? exit_status : validation_status;
}
