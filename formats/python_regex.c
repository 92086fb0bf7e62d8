#include "formats/python_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "base/memory.h"

enum {
    MAX_PATTERN = 1 << 14, /* bytes */
    MATCH_LIMIT = 20000,   /* choices taken back in one match */
    HEAP_LIMIT = 1 << 10,  /* KiB */
    NEST_LIMIT = 32,
};

struct python_regex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    enum python_regex_use use;
};

/* Of the escapes that mean the same to both: `text` is what follows the backslash. \x takes two
 * digits in Python, so no brace may follow. */
static bool check_escape(struct text text, struct status *status)
{
    const char c = text.len > 0 ? text.ptr[0] : '\0';
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

    if (c == '\0')
        return status_fail(status, STATUS_CONFIG, "pattern: ends in a backslash");
    if ((!is_letter || strchr("AbBdDsSwWZafnrtvx", c)) &&
        !(c == 'x' && text.len > 1 && text.ptr[1] == '{'))
        return true;
    return status_fail(status, STATUS_CONFIG, "pattern: '\\%c' is not supported", c);
}

/* A '(' and what follows: a plain group, or one of those that both spell alike. */
static bool check_group(struct text rest, struct status *status)
{
    static const char *const known[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?P<", "(?P="};

    if (rest.len > 1 && rest.ptr[1] == '*')
        return status_fail(status, STATUS_CONFIG, "pattern: '(*' is not supported");
    if (rest.len < 2 || rest.ptr[1] != '?')
        return true;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (text_starts_with(rest, text_of(known[i])))
            return true;
    }
    return status_fail(status, STATUS_CONFIG, "pattern: '(?%.1s' is not supported",
                       rest.len > 2 && rest.ptr[2] > ' ' && rest.ptr[2] < 0x7F ? rest.ptr + 2 : "");
}

static bool check_outside(struct text rest, struct status *status)
{
    if (rest.ptr[0] == '(')
        return check_group(rest, status);
    if (text_starts_with(rest, text_of("{,")))
        return status_fail(status, STATUS_CONFIG, "pattern: '{,' is not supported");
    return true;
}

/* Is there anything that the two read differently? */
static bool check_syntax(struct text pattern, struct status *status)
{
    bool in_class = false;

    for (size_t at = 0; at < pattern.len; at++) {
        const struct text rest = {pattern.ptr + at, pattern.len - at};
        const unsigned char c = (unsigned char)*rest.ptr;

        if (c < ' ' || c > '~')
            return status_fail(status, STATUS_CONFIG, "pattern: only ASCII is supported");
        if (c == '\\') {
            if (!check_escape((struct text){rest.ptr + 1, rest.len - 1}, status))
                return false;
            at++;
        } else if (in_class) {
            if (c == '[' && rest.len > 1 && strchr(":.=", rest.ptr[1]))
                return status_fail(status, STATUS_CONFIG,
                                   "pattern: '[%c' in brackets is not supported", rest.ptr[1]);
            in_class = c != ']';
        } else if (c == '[') {
            in_class = true;
            at += rest.len > 1 && rest.ptr[1] == '^';
            at += at + 1 < pattern.len && pattern.ptr[at + 1] == ']'; /* first, it is itself */
        } else if (!check_outside(rest, status)) {
            return false;
        }
    }
    return true;
}

static pcre2_code *compile(struct text pattern, struct status *status)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    pcre2_code *code = NULL;
    int error = PCRE2_ERROR_NOMEMORY;
    PCRE2_SIZE offset;
    char message[120] = "";

    if (context) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        pcre2_set_parens_nest_limit(context, NEST_LIMIT);
        code =
            pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len,
                          PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &error, &offset, context);
        pcre2_compile_context_free(context);
    }
    if (!code) {
        pcre2_get_error_message(error, (PCRE2_UCHAR *)message, sizeof(message));
        status_set(status, STATUS_CONFIG, "pattern: %s", message);
    }
    return code;
}

struct python_regex *python_regex_new(struct text pattern, enum python_regex_use use,
                                      struct status *status)
{
    struct python_regex *regex;
    pcre2_code *code;

    if (pattern.len > MAX_PATTERN) {
        status_set(status, STATUS_CONFIG, "pattern: %zu bytes, at most %d are supported",
                   pattern.len, MAX_PATTERN);
        return NULL;
    }
    if (!check_syntax(pattern, status))
        return NULL;
    code = compile(pattern, status);
    if (!code)
        return NULL;
    regex = memory_zeroed(1, sizeof(*regex));
    regex->code = code;
    regex->use = use;
    regex->data = pcre2_match_data_create_from_pattern(code, NULL);
    regex->context = pcre2_match_context_create(NULL);
    if (!regex->data || !regex->context) {
        status_set(status, STATUS_MEMORY, "no memory for a pattern");
        python_regex_free(regex);
        return NULL;
    }
    pcre2_set_match_limit(regex->context, MATCH_LIMIT);
    pcre2_set_heap_limit(regex->context, HEAP_LIMIT);
    return regex;
}

void python_regex_free(struct python_regex *regex)
{
    if (!regex)
        return;
    pcre2_match_data_free(regex->data);
    pcre2_match_context_free(regex->context);
    pcre2_code_free(regex->code);
    free(regex);
}

static struct text find_group(const struct python_regex *regex, struct text name,
                              const char *group_name)
{
    const int number = pcre2_substring_number_from_name(regex->code, (PCRE2_SPTR)group_name);
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(regex->data);
    const uint32_t n = pcre2_get_ovector_count(regex->data);

    if (number < 0 || (uint32_t)number >= n || ends[2 * number] == PCRE2_UNSET ||
        ends[2 * number] > ends[2 * number + 1])
        return (struct text){0};
    return (struct text){name.ptr + ends[2 * number], ends[2 * number + 1] - ends[2 * number]};
}

bool python_regex_match(const struct python_regex *regex, struct text name, const char *group_name,
                        bool *matches, struct text *group, struct status *status)
{
    const uint32_t options =
        PCRE2_ANCHORED | (regex->use == PYTHON_REGEX_FULLMATCH ? PCRE2_ENDANCHORED : 0);
    const int rc = pcre2_match(regex->code, (PCRE2_SPTR)name.ptr, name.len, 0, options, regex->data,
                               regex->context);

    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
        return status_fail(status, STATUS_CONFIG,
                           "pattern: takes too many steps on the name of a module");
    *matches = rc >= 0;
    if (group)
        *group = rc >= 0 ? find_group(regex, name, group_name) : (struct text){0};
    return true;
}
