/* Every allocation fails, alone or with all that follow: a migration is whole, or it is an error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "alloc_hook.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "hone/migrate.h"

static const char *const sources[][2] = {
    {"x.py",
     "import os\n"
     "name = 'org/' + f\"{'n'}-{1 + 1}\"\n"
     "kw = dict(r=4, **{'lora_alpha': 8}); kw['lora_dropout'] = 0.1\n"
     "m = AutoModelForCausalLM.from_pretrained(name, load_in_4bit=True)\n"
     "l = LoraConfig(target_modules=['q_proj', 'v_proj'], **kw)\n"
     "d = load_dataset('json', data_files=[os.path.join('a', 'x\\x41.jsonl')])\n"
     "d = d.train_test_split(0.1, seed=1)\n"
     "t = Trainer(m, TrainingArguments('o'.upper(), optim='sgd', eval_steps=0.5, novel=1))\n"},
    {"x.ipynb",
     "{\"cells\": [{\"cell_type\": \"code\", \"source\": [\"LoraConfig(r=2)\\n\", \"x = (\"]}]}"},
    {"x.yaml", "model: m\nlora_parameters: {rank: 4, scale: 2.0, dropout: 0, keys: [a, b]}\n"},
    {"x.yaml", "base_model: m\nadapter: lora\nchat_template: chatml\nsequence_len: 64\n"
               "datasets: [{path: a.jsonl, type: chat_template}]\n"},
};

static void show(struct hn_buf *out, const struct hone_migration *m)
{
    for (size_t i = 0; i < m->n_rows; i++)
        hn_buf_printf(out, "%s|%s|%s|%s|%s\n", m->rows[i].call, m->rows[i].argument,
                      m->rows[i].value, m->rows[i].setting, m->rows[i].note);
    hn_buf_add_str(out, m->yaml);
    for (size_t i = 0; i < m->n_prepare; i++)
        hn_buf_add_str(out, m->prepare[i]);
    for (size_t i = 0; i < m->n_test; i++)
        hn_buf_add_str(out, m->test[i]);
}

static void torture(const char *name, const char *source, bool on)
{
    struct hn_buf whole = {0};
    long failed = 0;
    atomic_store(&alloc_fail_on, on);
    for (long n = 0;; n++) {
        struct hone_migration *m = NULL;
        struct hone_err err = {0};
        atomic_store(&alloc_count, 0);
        atomic_store(&alloc_fail_at, n);
        int rc = hone_migrate_parse(&m, name, source, strlen(source), &err);
        atomic_store(&alloc_fail_at, 0);
        long count = atomic_load(&alloc_count);
        if (rc) {
            assert_null(m);
            assert_true(err.message[0]);
            failed++;
            continue;
        }
        struct hn_buf got = {0};
        show(n == 0 ? &whole : &got, m);
        if (n > 0 && strcmp(hn_buf_str(&whole), hn_buf_str(&got)) != 0)
            fail_msg("%s: allocation %ld failed, and went unnoticed", name, n);
        hone_migrate_close(&m);
        hn_buf_release(&got);
        if (n > count)
            break;
    }
    assert_true(failed > 3);
    hn_buf_release(&whole);
}

static void test_every_allocation(void **state)
{
    (void)state;
    if (!alloc_hook_works())
        skip();
    for (size_t s = 0; s < HN_COUNT(sources); s++) {
        torture(sources[s][0], sources[s][1], false);
        torture(sources[s][0], sources[s][1], true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
