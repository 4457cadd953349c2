/* Every allocation that fails is an error of its own, never a crash or other ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "alloc_hook.h"
#include "base/compiler.h"
#include "hone/tokenizer.h"

#define FOLDER HN_TEST_DIR "/text/tokenizers/"

static const char text[] = "Hello <s> w\xc3\xb6rld, it's 12  caf\x65\xcc\x81 \xe6\x97\xa5 "
                           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx<mask>";

/* Open, encode, decode; the sum of the ids in *sum. */
static int use(const char *path, int64_t *sum, struct hone_err *err)
{
    struct hone_tokenizer *t = NULL;
    struct hone_tokens ids = {0};
    char *out = NULL;
    size_t n = 0;
    int rc = hone_tokenizer_open(&t, path, err);
    rc = rc ? rc : hone_tokenizer_encode(t, text, strlen(text), HONE_ADD_SPECIAL, &ids, err);
    rc = rc ? rc : hone_tokenizer_decode(t, ids.ids, ids.n, 0, &out, &n, err);
    for (size_t i = 0; rc == 0 && i < ids.n; i++)
        *sum += ids.ids[i] * (int64_t)(i + 1);
    *sum += (int64_t)n;
    hone_free(out);
    hone_tokens_release(&ids);
    hone_tokenizer_close(&t);
    return rc;
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt2.json",         "metaspace.json", "bert.json",
                                        "unigram.json",      "added.json",     "odd_regex.json",
                                        "spm_bpe_nmt.model", "smollm.gguf",    "spm.gguf"};
    if (!alloc_hook_works())
        skip();
    for (size_t i = 0; i < HN_COUNT(names); i++) {
        char path[300];
        int64_t want = 0;
        struct hone_err err = {0};
        snprintf(path, sizeof path, FOLDER "%s", names[i]);
        atomic_store(&alloc_count, 0);
        atomic_store(&alloc_fail_at, 0);
        assert_int_equal(use(path, &want, &err), 0);
        long total = atomic_load(&alloc_count), failed = 0;
        for (long n = 1; n <= total; n += 1 + total / 500) {
            int64_t sum = 0;
            err.message[0] = 0;
            atomic_store(&alloc_count, 0);
            atomic_store(&alloc_fail_at, n);
            int rc = use(path, &sum, &err);
            atomic_store(&alloc_fail_at, 0);
            failed += rc != 0;
            if (rc ? !err.message[0] : sum != want)
                fail_msg("%s: allocation %ld of %ld: result %d, \"%s\"", names[i], n, total, rc,
                         err.message);
        }
        assert_true(failed > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(survives_every_failed_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
