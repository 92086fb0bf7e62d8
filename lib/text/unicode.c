#include "text/unicode.h"

#include <utf8proc.h>

#include "text/unicode_range.h"

size_t unicode_decode(struct text text, size_t at, int32_t *code_point)
{
    const unsigned char *p = (const unsigned char *)text.ptr + at;
    const size_t rest = text.len - at;
    utf8proc_ssize_t n;

    if (*p < 0x80) {
        *code_point = *p;
        return 1;
    }
    if (rest >= 3 && (p[1] & 0xC0) == 0x80) { /* most of what is not ASCII, but for odd leads */
        if (*p >= 0xC2 && *p <= 0xDF) {
            *code_point = (*p & 0x1F) << 6 | (p[1] & 0x3F);
            return 2;
        }
        if (*p > 0xE0 && *p <= 0xEC && (p[2] & 0xC0) == 0x80) {
            *code_point = (*p & 0x0F) << 12 | (p[1] & 0x3F) << 6 | (p[2] & 0x3F);
            return 3;
        }
    }
    n = utf8proc_iterate(p, rest < UNICODE_MAX_BYTES ? (utf8proc_ssize_t)rest : UNICODE_MAX_BYTES,
                         code_point);
    if (n <= 0) {
        *code_point = UNICODE_REPLACEMENT;
        return 1;
    }
    return (size_t)n;
}

size_t unicode_encode(int32_t code_point, char out[UNICODE_MAX_BYTES])
{
    if (!utf8proc_codepoint_valid(code_point))
        code_point = UNICODE_REPLACEMENT;
    return (size_t)utf8proc_encode_char(code_point, (utf8proc_uint8_t *)out);
}

bool unicode_is_valid(struct text text)
{
    size_t at = 0;

    while (at < text.len) {
        int32_t code_point;
        const size_t n = unicode_decode(text, at, &code_point);

        if (n == 1 && code_point == UNICODE_REPLACEMENT)
            return false;
        at += n;
    }
    return true;
}

bool unicode_is_space(int32_t code_point)
{
    if (code_point < 0x80)
        return code_point == ' ' || (code_point >= '\t' && code_point <= '\r');
    if (code_point == 0x85)
        return true;
    switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return true;
    default:
        return false;
    }
}

static enum unicode_class ascii_class(int32_t c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return UNICODE_LETTER;
    if (c >= '0' && c <= '9')
        return UNICODE_NUMBER;
    return unicode_is_space(c) ? UNICODE_SPACE : UNICODE_OTHER;
}

/* Letters and numbers of Unicode 15.1 and 16.0, which Oniguruma knows and utf8proc 2.8 does not. */
static const int32_t later_letters[][2] = {
    {0x1C89, 0x1C8A},   {0xA7CB, 0xA7CD},   {0xA7DA, 0xA7DC},   {0x105C0, 0x105F3},
    {0x10D4A, 0x10D65}, {0x10D6F, 0x10D85}, {0x10EC2, 0x10EC4}, {0x11380, 0x11389},
    {0x1138B, 0x1138B}, {0x1138E, 0x1138E}, {0x11390, 0x113B5}, {0x113B7, 0x113B7},
    {0x113D1, 0x113D1}, {0x113D3, 0x113D3}, {0x11BC0, 0x11BE0}, {0x13460, 0x143FA},
    {0x16100, 0x1611D}, {0x16D40, 0x16D6C}, {0x18CFF, 0x18CFF}, {0x1E5D0, 0x1E5ED},
    {0x1E5F0, 0x1E5F0}, {0x2EBF0, 0x2EE5D}};
static const int32_t later_numbers[][2] = {
    {0x10D40, 0x10D49}, {0x116D0, 0x116E3}, {0x11BF0, 0x11BF9}, {0x16130, 0x16139},
    {0x16D70, 0x16D79}, {0x1CCF0, 0x1CCF9}, {0x1E5F1, 0x1E5FA}};
/* Numbers of 17.0, which Rust's own table knows. */
static const int32_t latest_numbers[][2] = {{0x11DE0, 0x11DE9}, {0x16FF4, 0x16FF6}};

#define HAS(ranges, c) unicode_range_has(ranges, sizeof(ranges) / sizeof((ranges)[0]), c)

static enum unicode_class later_class(int32_t c)
{
    if (HAS(later_letters, c))
        return UNICODE_LETTER;
    return HAS(later_numbers, c) ? UNICODE_NUMBER : UNICODE_OTHER;
}

bool unicode_is_number(int32_t code_point)
{
    return unicode_class(code_point) == UNICODE_NUMBER ||
           (code_point >= latest_numbers[0][0] && HAS(latest_numbers, code_point));
}

enum unicode_class unicode_class(int32_t code_point)
{
    if (code_point < 0x80)
        return ascii_class(code_point);
    switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return UNICODE_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return UNICODE_NUMBER;
    case UTF8PROC_CATEGORY_CN:
        return later_class(code_point);
    default:
        return unicode_is_space(code_point) ? UNICODE_SPACE : UNICODE_OTHER;
    }
}

/* What Unicode 15.1 and 16.0 added to \p{L} and \p{M}; found by comparing all code points with
 * tokenizers 0.23. */
static const int32_t later_capitals[][2] = {
    {0x1C89, 0x1C89}, {0xA7CB, 0xA7CC}, {0xA7DA, 0xA7DA}, {0xA7DC, 0xA7DC}, {0x10D50, 0x10D65}};
static const int32_t later_small[][2] = {
    {0x1C8A, 0x1C8A}, {0xA7CD, 0xA7CD}, {0xA7DB, 0xA7DB}, {0x10D70, 0x10D85}};
static const int32_t later_marks[][2] = {{0x0897, 0x0897},   {0x10D69, 0x10D6D}, {0x10EFC, 0x10EFC},
                                         {0x113B8, 0x113C0}, {0x113C2, 0x113C2}, {0x113C5, 0x113C5},
                                         {0x113C7, 0x113CA}, {0x113CC, 0x113D0}, {0x113D2, 0x113D2},
                                         {0x113E1, 0x113E2}, {0x11F5A, 0x11F5A}, {0x1611E, 0x1612F},
                                         {0x1E5EE, 0x1E5EF}};

static unsigned later_cases(int32_t c)
{
    if (HAS(later_capitals, c))
        return UNICODE_UPPER;
    if (HAS(later_small, c))
        return UNICODE_LOWER;
    return HAS(later_letters, c) || HAS(later_marks, c) ? UNICODE_UPPER | UNICODE_LOWER : 0;
}

unsigned unicode_cases(int32_t code_point)
{
    if (code_point < 0x80) {
        if (code_point >= 'a' && code_point <= 'z')
            return UNICODE_LOWER;
        return code_point >= 'A' && code_point <= 'Z' ? UNICODE_UPPER : 0;
    }
    switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
        return UNICODE_UPPER;
    case UTF8PROC_CATEGORY_LL:
        return UNICODE_LOWER;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return UNICODE_UPPER | UNICODE_LOWER;
    case UTF8PROC_CATEGORY_CN:
        return later_cases(code_point);
    default:
        return 0;
    }
}

bool unicode_is_punctuation(int32_t code_point)
{
    const utf8proc_category_t category = utf8proc_category(code_point);

    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

bool unicode_is_control(int32_t code_point)
{
    const utf8proc_category_t category = utf8proc_category(code_point);

    return category >= UTF8PROC_CATEGORY_CC && category <= UTF8PROC_CATEGORY_CO;
}

bool unicode_is_nonspacing_mark(int32_t code_point)
{
    return utf8proc_category(code_point) == UTF8PROC_CATEGORY_MN;
}

bool unicode_is_mark(int32_t code_point)
{
    const utf8proc_category_t category = utf8proc_category(code_point);

    return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

/* Alphabetic beyond L, Nl and M: letters in circles and squares, which are So. */
static bool is_enclosed_letter(int32_t c)
{
    return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
           (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

bool unicode_is_word(int32_t code_point)
{
    const utf8proc_category_t category = utf8proc_category(code_point);

    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL)
        return true; /* L*, M*, Nd, Nl */
    return category == UTF8PROC_CATEGORY_PC || code_point == 0x200C || code_point == 0x200D ||
           is_enclosed_letter(code_point);
}

unsigned unicode_combining_class(int32_t code_point)
{
    return (unsigned)utf8proc_get_property(code_point)->combining_class;
}

size_t unicode_lower(int32_t code_point, int32_t out[UNICODE_MAX_LOWER])
{
    if (code_point == 0x130) { /* the one entry of SpecialCasing.txt that has no condition */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = utf8proc_tolower(code_point);
    return 1;
}

size_t unicode_decompose(int32_t code_point, int32_t out[UNICODE_MAX_DECOMPOSED])
{
    int last_boundary = 0;
    const utf8proc_ssize_t n = utf8proc_decompose_char(code_point, out, UNICODE_MAX_DECOMPOSED,
                                                       UTF8PROC_DECOMPOSE, &last_boundary);

    if (n > 0 && n <= UNICODE_MAX_DECOMPOSED)
        return (size_t)n;
    out[0] = code_point; /* no code point has a longer canonical decomposition */
    return 1;
}
