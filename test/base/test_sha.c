/* SHA-256 and SHA-1 against the examples of FIPS 180-4 and its long message, in every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/sha.h"

static const struct {
    const char *text, *sha256, *sha1;
} cases[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
     "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
     "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
};

static void matches_the_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        size_t n = strlen(cases[i].text);
        for (size_t cut = 0; cut <= n; cut++) {
            struct hn_sha s, t;
            char hex[HN_SHA256_HEX];
            hn_sha256_init(&s);
            hn_sha1_init(&t);
            hn_sha_add(&s, cases[i].text, cut);
            hn_sha_add(&s, cases[i].text + cut, n - cut);
            hn_sha_add(&t, cases[i].text, cut);
            hn_sha_add(&t, cases[i].text + cut, n - cut);
            hn_sha_finish(&s, hex);
            assert_string_equal(hex, cases[i].sha256);
            hn_sha_finish(&t, hex);
            assert_string_equal(hex, cases[i].sha1);
        }
    }
}

static void a_million_letters(void **state)
{
    (void)state;
    struct hn_sha s, t;
    char hex[HN_SHA256_HEX], text[1000];
    memset(text, 'a', sizeof text);
    hn_sha256_init(&s);
    hn_sha1_init(&t);
    for (int i = 0; i < 1000; i++) {
        hn_sha_add(&s, text, sizeof text);
        hn_sha_add(&t, text, sizeof text);
    }
    hn_sha_finish(&s, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    hn_sha_finish(&t, hex);
    assert_string_equal(hex, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_examples),
        cmocka_unit_test(a_million_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
