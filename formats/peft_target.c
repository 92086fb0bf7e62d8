#include "formats/peft_target.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/buf.h"
#include "base/memory.h"
#include "formats/json_file.h"
#include "formats/python_regex.h"

#define MAX_SECONDS 5.0 /* of this thread, for all patterns of an adapter on all modules */

/* A pattern of rank_pattern or alpha_pattern. */
struct rule {
    const struct peft_pattern *pattern;
    struct python_regex *regex;     /* ours */
    struct python_regex *old_regex; /* ours: of PEFT before 0.14; NULL: it is none there */
};

struct peft_target {
    const struct peft_config *config;
    struct peft_names targets;                /* what counts as target_modules */
    bool all_linear;                          /* instead of them */
    struct python_regex *pattern, *exclusion; /* ours; NULL where these are lists */
    struct python_regex **layers;             /* [n_layers] ours: layers_pattern, spelled out */
    size_t n_layers;
    struct rule *ranks, *alphas; /* [config->n_ranks], [config->n_alphas] ours */
    double deadline;             /* by seconds_now() */
};

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* front + pattern + back, compiled; the message is about `key`. */
static struct python_regex *compile(const char *key, const char *front, const char *pattern,
                                    const char *back, enum python_regex_use use,
                                    struct status *status)
{
    struct buf whole = {0};
    struct python_regex *regex;

    buf_append_string(&whole, front);
    buf_append_string(&whole, pattern);
    buf_append_string(&whole, back);
    regex = python_regex_new(buf_text(&whole), use, status);
    if (!regex)
        status_prefix(status, "%s '%s'", key, json_file_shown(pattern));
    buf_release(&whole);
    return regex;
}

static bool open_targets(struct peft_target *t, struct status *status)
{
    static const char *default_targets[] = {"q_proj", "v_proj"};
    const struct peft_config *c = t->config;

    t->targets = c->target_modules;
    if (!t->targets.given)
        t->targets = (struct peft_names){.names = default_targets, .n_names = 2};
    t->all_linear = t->targets.pattern && strcasecmp(t->targets.pattern, "all-linear") == 0;
    if (t->targets.pattern && !t->all_linear) {
        t->pattern =
            compile("target_modules", "", t->targets.pattern, "", PYTHON_REGEX_FULLMATCH, status);
        if (!t->pattern)
            return false;
    }
    if (c->exclude_modules.pattern && c->exclude_modules.pattern[0]) {
        t->exclusion = compile("exclude_modules", "", c->exclude_modules.pattern, "",
                               PYTHON_REGEX_FULLMATCH, status);
        return t->exclusion != NULL;
    }
    return true;
}

/* Where the numbers of layers stand in a path. */
static bool open_layers(struct peft_target *t, struct status *status)
{
    static const char any[] = "[^.]*";
    const struct peft_names *names = &t->config->layers_pattern;
    const bool has_pattern = names->pattern && names->pattern[0];
    const size_t n = names->n_names > 0 ? names->n_names : 1;

    t->layers = memory_zeroed(n, sizeof(*t->layers));
    for (size_t i = 0; i < n; i++) {
        if (names->n_names > 0 || has_pattern)
            t->layers[i] = compile("layers_pattern", "(?:^|.*?\\.)",
                                   has_pattern ? names->pattern : names->names[i],
                                   "\\.(?P<idx>\\d+)\\.", PYTHON_REGEX_MATCH, status);
        else
            t->layers[i] = compile("layers_pattern", ".*?\\.", any, "\\.(?P<idx>\\d+)\\.",
                                   PYTHON_REGEX_MATCH, status);
        if (!t->layers[i])
            return false;
        t->n_layers++;
    }
    return true;
}

static bool open_rules(const char *key, const struct peft_pattern *patterns, size_t n,
                       struct rule **rules, struct status *status)
{
    struct status other;

    *rules = memory_zeroed(n + 1, sizeof(**rules));
    for (size_t i = 0; i < n; i++) {
        struct rule *rule = &(*rules)[i];

        rule->pattern = &patterns[i];
        rule->regex =
            compile(key, "(.*\\.)?(", patterns[i].pattern, ")$", PYTHON_REGEX_MATCH, status);
        if (!rule->regex)
            return false;
        rule->old_regex =
            compile(key, ".*\\.", patterns[i].pattern, "$", PYTHON_REGEX_MATCH, &other);
    }
    return true;
}

struct peft_target *peft_target_open(const struct peft_config *config, struct status *status)
{
    struct peft_target *t = memory_zeroed(1, sizeof(*t));

    t->config = config;
    t->deadline = seconds_now() + MAX_SECONDS;
    if (open_targets(t, status) && (!config->layers || open_layers(t, status)) &&
        open_rules("rank_pattern", config->ranks, config->n_ranks, &t->ranks, status) &&
        open_rules("alpha_pattern", config->alphas, config->n_alphas, &t->alphas, status))
        return t;
    peft_target_close(t);
    return NULL;
}

static void close_rules(struct rule *rules, size_t n)
{
    for (size_t i = 0; rules && i < n; i++) {
        python_regex_free(rules[i].regex);
        python_regex_free(rules[i].old_regex);
    }
    free(rules);
}

void peft_target_close(struct peft_target *t)
{
    if (!t)
        return;
    python_regex_free(t->pattern);
    python_regex_free(t->exclusion);
    for (size_t i = 0; i < t->n_layers; i++)
        python_regex_free(t->layers[i]);
    free(t->layers);
    close_rules(t->ranks, t->config->n_ranks);
    close_rules(t->alphas, t->config->n_alphas);
    free(t);
}

/* *layer, where not NULL: the digits that the pattern's group "idx" has matched */
static bool matches(const struct peft_target *t, const struct python_regex *regex, const char *key,
                    const char *path, bool *found, struct text *layer, struct status *status)
{
    if (seconds_now() > t->deadline)
        return status_fail(status, STATUS_CONFIG, "%s: patterns take too long", key);
    return python_regex_match(regex, text_of(path), "idx", found, layer, status) ||
           status_context(status, "%s", key);
}

static bool is_end(const char *path, const char *end)
{
    const size_t len = strlen(path), n = strlen(end);

    return len > n && path[len - n - 1] == '.' && strcmp(path + len - n, end) == 0;
}

/* *whole: an entry is the path itself */
static bool is_listed(const struct peft_names *list, const char *path, bool *whole)
{
    bool found = false;

    *whole = false;
    for (size_t i = 0; i < list->n_names && !*whole; i++) {
        *whole = strcmp(path, list->names[i]) == 0;
        found = found || *whole || is_end(path, list->names[i]);
    }
    return found;
}

static bool is_excluded(const struct peft_target *t, const char *path, bool *excluded,
                        struct status *status)
{
    bool whole;

    if (t->exclusion)
        return matches(t, t->exclusion, "exclude_modules", path, excluded, NULL, status);
    *excluded = is_listed(&t->config->exclude_modules, path, &whole);
    return true;
}

/* Is the path's layer one of those to transform? */
static bool is_in_layers(const struct peft_target *t, const char *path, bool *found,
                         struct status *status)
{
    struct text digits = {0};
    uint64_t layer = 0;
    bool matched = false;

    *found = false;
    for (size_t i = 0; i < t->n_layers && !matched; i++) {
        if (!matches(t, t->layers[i], "layers_pattern", path, &matched, &digits, status))
            return false;
    }
    if (!matched || digits.len == 0 || digits.len > 9)
        return true;
    for (size_t i = 0; i < digits.len; i++)
        layer = layer * 10 + (uint64_t)(digits.ptr[i] - '0');
    for (size_t i = 0; i < t->config->n_layers; i++)
        *found = *found || t->config->layers[i] == (int64_t)layer;
    return true;
}

bool peft_target_includes(struct peft_target *t, const char *path, enum peft_module kind,
                          bool *included, struct status *status)
{
    bool excluded, whole;

    *included = false;
    if (!is_excluded(t, path, &excluded, status))
        return false;
    if (excluded)
        return true;
    if (t->all_linear) {
        *included = kind == PEFT_LINEAR;
        return true;
    }
    if (t->pattern)
        return matches(t, t->pattern, "target_modules", path, included, NULL, status);
    *included = is_listed(&t->targets, path, &whole);
    if (*included && !whole && t->config->n_layers > 0)
        return is_in_layers(t, path, included, status);
    return true;
}

/* The first rule that matches; NULL: none. */
static bool find_rule(const struct peft_target *t, const char *key, const struct rule *rules,
                      size_t n, bool old, const char *path, const struct rule **rule,
                      struct status *status)
{
    *rule = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct python_regex *regex = old ? rules[i].old_regex : rules[i].regex;
        bool found = false;

        if (regex && !matches(t, regex, key, path, &found, NULL, status))
            return false;
        if (found) {
            *rule = &rules[i];
            return true;
        }
    }
    return true;
}

/* One pattern, looked for among those of the ranks and then of the alphas, gave both. */
static bool find_old_alpha(const struct peft_target *t, const char *path, double *alpha,
                           struct status *status)
{
    const struct peft_config *c = t->config;
    const struct rule *rule;

    *alpha = c->lora_alpha;
    if (!find_rule(t, "rank_pattern", t->ranks, c->n_ranks, true, path, &rule, status) ||
        (!rule &&
         !find_rule(t, "alpha_pattern", t->alphas, c->n_alphas, true, path, &rule, status)))
        return false;
    for (size_t i = 0; rule && i < c->n_alphas; i++) {
        if (strcmp(c->alphas[i].pattern, rule->pattern->pattern) == 0)
            *alpha = c->alphas[i].value;
    }
    return true;
}

bool peft_target_numbers(struct peft_target *t, const char *path, int *rank, double *alpha,
                         double *old_alpha, struct status *status)
{
    const struct peft_config *c = t->config;
    const struct rule *of_rank, *of_alpha;

    if (!find_rule(t, "rank_pattern", t->ranks, c->n_ranks, false, path, &of_rank, status) ||
        !find_rule(t, "alpha_pattern", t->alphas, c->n_alphas, false, path, &of_alpha, status) ||
        !find_old_alpha(t, path, old_alpha, status))
        return false;
    *rank = of_rank ? (int)of_rank->pattern->value : c->r;
    *alpha = of_alpha ? of_alpha->pattern->value : c->lora_alpha;
    return true;
}
