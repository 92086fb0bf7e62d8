/* UTF-8, against every sequence of up to four bytes that could be one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"

/* RFC 3629 from the other side: the code point spelled out. Returns the size. */
static size_t spell(uint32_t c, char bytes[4])
{
    if (c < 0x80) {
        bytes[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        bytes[0] = (char)(0xc0 | c >> 6);
        bytes[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        bytes[0] = (char)(0xe0 | c >> 12);
        bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
        bytes[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    bytes[0] = (char)(0xf0 | c >> 18);
    bytes[1] = (char)(0x80 | (c >> 12 & 0x3f));
    bytes[2] = (char)(0x80 | (c >> 6 & 0x3f));
    bytes[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static void every_code_point_but_surrogates_is_one_character(void **state)
{
    char bytes[4];

    (void)state;
    for (uint32_t c = 0; c <= 0x1fffff; c++) {
        const size_t n = spell(c, bytes);
        const bool good = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);

        assert_int_equal(utf8_char_size((struct text){bytes, n}, 0), good ? n : 0);
        if (n > 1) /* cut short */
            assert_int_equal(utf8_char_size((struct text){bytes, n - 1}, 0), 0);
    }
}

static void overlong_forms_and_stray_bytes_are_none(void **state)
{
    char bytes[4];

    (void)state;
    for (int lead = 0x80; lead < 0x100; lead++) {
        bytes[0] = (char)lead;
        for (int second = 0; second < 0x100; second++) {
            const struct text two = {bytes, 2};

            bytes[1] = (char)second;
            assert_int_equal(utf8_char_size(two, 0),
                             lead >= 0xc2 && lead < 0xe0 && (second & 0xc0) == 0x80 ? 2 : 0);
        }
    }
    assert_int_equal(utf8_char_size((struct text){"\xe0\x9f\xbf", 3}, 0), 0);     /* U+07FF */
    assert_int_equal(utf8_char_size((struct text){"\xf0\x8f\xbf\xbf", 4}, 0), 0); /* U+FFFF */
}

static void the_first_bad_byte_is_found_wherever_it_is(void **state)
{
    char bytes[40];

    (void)state;
    for (size_t at = 0; at < sizeof(bytes); at++) {
        memset(bytes, 'a', sizeof(bytes));
        bytes[at] = '\xff';
        assert_int_equal(utf8_first_bad((struct text){bytes, sizeof(bytes)}), at);
        assert_int_equal(utf8_first_bad((struct text){bytes, at}), at);
    }
    assert_int_equal(utf8_first_bad((struct text){"", 0}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_but_surrogates_is_one_character),
        cmocka_unit_test(overlong_forms_and_stray_bytes_are_none),
        cmocka_unit_test(the_first_bad_byte_is_found_wherever_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
