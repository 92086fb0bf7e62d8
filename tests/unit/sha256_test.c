/* SHA-256 against the examples of NIST (FIPS 180-4's companion page), however the bytes come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/sha256.h"

static void assert_digest(const char *bytes, size_t n, size_t piece, const char *wanted)
{
    char hex[SHA256_HEX + 1];
    struct sha256 sha;

    sha256_begin(&sha);
    for (size_t at = 0; at < n; at += piece)
        sha256_more(&sha, bytes + at, n - at < piece ? n - at : piece);
    sha256_end(&sha, hex);
    assert_string_equal(hex, wanted);
}

static void gives_the_published_digests(void **state)
{
    static const struct {
        const char *bytes, *digest;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrl"
         "mnopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const size_t n = strlen(cases[i].bytes);

        for (size_t piece = 1; piece <= n + 1; piece++)
            assert_digest(cases[i].bytes, n, piece, cases[i].digest);
    }
}

static void a_million_letters(void **state)
{
    static char a[1000000];

    (void)state;
    memset(a, 'a', sizeof(a));
    assert_digest(a, sizeof(a), 997,
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_published_digests),
        cmocka_unit_test(a_million_letters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
