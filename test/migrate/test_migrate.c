/* Migration from end to end: scripts, notebooks and configs of many kinds with every row and the
 * whole train.yaml that must come of them (test/migrate/expected; HN_UPDATE=1 writes them anew),
 * and what malformed files are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/config_file.h"
#include "hone/migrate.h"
#include "migrate/rules.h"

static void show(struct hn_buf *out, const struct hone_migration *m)
{
    hn_buf_printf(out, "%s\n", m->kind);
    for (size_t i = 0; i < m->n_rows; i++) {
        const struct hone_migrate_row *r = &m->rows[i];
        hn_buf_printf(out, "%u:%u | %s%s%s | %s | %s | %s | %s\n", r->cell, r->line, r->call,
                      *r->argument ? "." : "", r->argument, r->value,
                      hone_migrate_fate_name(r->fate), r->setting, r->note);
    }
    hn_buf_printf(out, "---\n%s---\n", m->yaml);
    for (size_t i = 0; i < m->n_prepare; i++)
        hn_buf_printf(out, "%s%c", m->prepare[i], i + 1 < m->n_prepare ? ' ' : '\n');
    for (size_t i = 0; i < m->n_test; i++)
        hn_buf_printf(out, "%s%c", m->test[i], i + 1 < m->n_test ? ' ' : '\n');
}

/* hone train --config takes it. */
static void assert_accepted(const char *yaml)
{
    struct hn_conf conf;
    struct hone_err err = {0};
    assert_int_equal(hn_conf_init(&conf, HN_TRAIN, 0, NULL, &err), 0);
    if (hn_config_parse(&conf, "train.yaml", yaml, strlen(yaml), &err))
        fail_msg("%s\n%s", err.message, yaml);
    hn_conf_release(&conf);
}

static void test_examples(void **state)
{
    char **names = NULL;
    size_t n = 0, differ = 0;
    struct hone_err err = {0};
    (void)state;
    assert_int_equal(hn_dir_list(HN_TEST_DIR "/migrate/in", &names, &n, &err), 0);
    assert_true(n >= 8);
    for (size_t i = 0; i < n; i++) {
        char in[1024], expected[1024];
        struct hone_migration *m = NULL;
        struct hn_buf text = {0}, got = {0}, want = {0};
        snprintf(in, sizeof in, "%s/migrate/in/%s", HN_TEST_DIR, names[i]);
        snprintf(expected, sizeof expected, "%s/migrate/expected/%s.txt", HN_TEST_DIR, names[i]);
        assert_int_equal(hn_file_read(in, 1 << 20, &text, &err), 0);
        if (hone_migrate_parse(&m, names[i], hn_buf_str(&text), text.len, &err))
            fail_msg("%s: %s", names[i], err.message);
        show(&got, m);
        assert_accepted(m->yaml);
        if (getenv("HN_UPDATE"))
            assert_int_equal(hn_file_write(expected, got.data, got.len, &err), 0);
        assert_int_equal(hn_file_read(expected, 1 << 20, &want, &err), 0);
        if (strcmp(hn_buf_str(&want), hn_buf_str(&got)) != 0) {
            print_message("%s: got\n%s", names[i], hn_buf_str(&got));
            differ++;
        }
        hone_migrate_close(&m);
        assert_null(m);
        hn_buf_release(&text);
        hn_buf_release(&got);
        hn_buf_release(&want);
    }
    hn_free(names);
    assert_int_equal(differ, 0);
}

/* ---- how values are followed -------------------------------------------------------------------
 */

/* A setting that the expression in place of X must give. */
static void check(const char *before, const char *x, const char *want)
{
    struct hn_buf source = {0};
    struct hone_migration *m = NULL;
    struct hone_err err = {0};
    hn_buf_printf(&source, "%s\nTrainingArguments(output_dir=%s)\n", before, x);
    if (hone_migrate_parse(&m, "x.py", hn_buf_str(&source), source.len, &err))
        fail_msg("%s\n%s", hn_buf_str(&source), err.message);
    const char *row = "";
    for (size_t i = 0; i < m->n_rows; i++)
        if (strcmp(m->rows[i].argument, "output_dir") == 0 && m->rows[i].line)
            row = m->rows[i].setting;
    char expected[200];
    snprintf(expected, sizeof expected, "%s%s", *want ? "adapter_path: " : "", want);
    if (strcmp(row, expected) != 0)
        fail_msg("%s\nfound \"%s\", expected \"%s\"", hn_buf_str(&source), row, expected);
    hone_migrate_close(&m);
    hn_buf_release(&source);
}

static void test_values(void **state)
{
    (void)state;
    check("", "'a'", "a");
    check("", "\"a\" 'b' \"\"\"c\"\"\"", "abc");
    check("", "r'a\\b'", "a\\b");
    check("", "'\\x61\\u00e9\\t'", "a\xc3\xa9\t");
    check("a, b = 'x', 'y'", "b", "y");
    check("a, (b, c) = 'x', ('y', 'z')", "c", "z");
    check("a = b = 'x'", "a + b", "xx");
    check("a = 'x'; b = a + '/y'", "b", "x/y");
    check("a = 'x'\na += 'y'", "a", "xy");
    check("d = {'k': 'v', **{'l': 'w'}}", "d['l']", "w");
    check("d = dict(k='v'); d['k'] = 'w'", "d['k']", "w");
    check("d = dict(k='v'); d.update(k='u')", "d.get('k')", "u");
    check("l = ['a', 'b']", "l[-1]", "b");
    check("import os", "os.path.join('a', 'b', 'c.x')", "a/b/c.x");
    check("from pathlib import Path as P", "P('a') / 'b'", "a/b");
    check("m = 'org/Name-7B'", "f'out-{m.split(\"/\")[-1].lower()}-{1 + 1}'", "out-name-7b-2");
    check("n = 3", "'r{}-{k}'.format(n, k='z')", "r3-z");
    check("x = 'a' if True else 'b'", "x", "a");
    check("import torch\nx = 'gpu' if torch.cuda.is_available() else 'cpu'", "x", "gpu");
    check("import os\nx = os.environ.get('OUT', 'o')", "x", "o");
    check("import os\nd = os.path.dirname(os.path.abspath(__file__))", "os.path.join(d, 'a')", "a");
    check("", "Path(__file__).resolve().parent / 'a'", "./a");
    check("", "os.path.basename('a/b.c') + os.path.dirname('a/b.c') + Path('d/e.f').stem", "b.cae");
    check("", "os.path.join(os.getcwd(), 'a')", "./a");
    check("x = None or 'b'", "x", "b");
    check("def f(p='q'):\n    global r\n    return p", "f()", "q");
    check("class C:\n    out = 'o'\nc = C()", "c.out", "o");
    check("class C:\n    out: str = 'o'", "C(out='p').out", "p");
    check("from dataclasses import field\nclass C:\n    out: str = field(default='o')", "C().out",
          "o");
    check("p = ArgumentParser()\np.add_argument('--out-dir', default='o')\nargs = p.parse_args()",
          "args.out_dir", "o");
    check("if False:\n    x = 'a'\nelse:\n    x = 'b'", "x", "b");
    check("if unknown():\n    x = 'a'\nelse:\n    x = 'b'", "x", "a");
    check("try:\n    x = 'a'\nexcept Exception:\n    x = 'b'", "x", "a");
    check("x = 'a' \\\n    + 'b'", "x", "ab");
    check("# x = 'no'\nx = 'yes'  # 'no'", "x", "yes");
    check("!pip install x\n%cd /\nx = 'a'", "x", "a");
    check("(x := 'w')", "x", "w");
    check("k = {'output_dir': 'kw'}", "'a', **k", "kw");
    check("d = {'k': {'l': 'v'}}", "f'{d['k']['l']}-{f'{1 + 1}'}-{{}}'", "v-2-{}");
    check("a = 'b'", "f'{a!r}{a:>{4}}'", "");
    check("def f(*more, out='o', **rest):\n    return rest['name'] + out", "f(1, name='n')", "no");
    check("class C(dict, metaclass=type):\n    out = 'o'", "C.out", "o");
    check("class C[T: int]:\n    out = 'o'\ndef f[T](a: T) -> T:\n    return a\ntype N = int",
          "C.out + f('p')", "op");
    check("match v:\n    case {'a': [x, *_]} if x:\n        y = 'a'\n    case _:\n        y = 'b'",
          "y", "a");
    check("match = 'm'; case = 'c'; type = 't'", "match + case + type", "mct");
    check("with (open('a') as f, open('b') as g,):\n    x = 'w'", "x", "w");
    check("with open('a') as f, open('b') as g, open('c') as h: x = 'w'", "x", "w");
    check("l = [v for k, *v in zip(a, b)]; x = 'a'", "x", "a");
    check("async def f():\n    async with a as b:\n        async for c in d: await c\nx = 'a'", "x",
          "a");
    check("@a.b(c)\ndef f(): pass\nx: str = 'a'", "x", "a");
    check("if True:\n\tx = 'a'\n\fy = 'b'", "x + y", "ab");
    check("x = 'a'\ry = 'b' # c\rz = 'c'\r\nw = 'd'", "x + y + z + w", "abcd");
    check("x = 'a' if 'b' in 'abc' else 'c'", "x", "a");
    check("x = 'a' if 'd' not in ['b', 'c'] else 'c'", "x", "a");
    check("x = 'a' if 'r.json'.endswith(('.json', '.csv')) else 'c'", "x", "a");
    check("from dataclasses import field\nclass C:\n    l: list = field(default_factory=lambda: "
          "['o'])",
          "C().l[0]", "o");
    check("p = HfArgumentParser(C)\np.add_argument('--a', default='o')\nx, y = "
          "p.parse_args_and_config()",
          "getattr(y, 'a', 'z')", "o");
    check("r, lr = 16, 2e-4", "f'r{r:03d}-{lr:g}-{lr:.0e}-{lr:.2f}'", "r016-0.0002-2e-04-0.00");
    check("r = 'a'", "f'{r:>4}'", "");
    check("l = [f'{x}_b' for x in ('a', 'c')]", "l[1]", "c_b");
    check("l = [x for x in ('a', 'c') if x != 'a']", "l[0]", "");
    check("import os\nn = int(os.getenv('N', '8')) * float('0.5')", "f'{n}'", "4.0");
    check("", "str(int('a'))", "");
    check("x = input()", "x", "");
    check("", "f'{unknown}'", "");
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text, *setting;
    } cases[] = {
        {"learning_rate=2e-4", "learning_rate: 0.0002"},
        {"learning_rate=2 * 1e-4 / 4", "learning_rate: 5e-05"},
        {"learning_rate=-1.0", ""},
        {"learning_rate=['a', 1]", ""},
        {"gradient_accumulation_steps=128 // 4", "grad_accumulation_steps: 32"},
        {"per_device_train_batch_size=2 ** 3 - 1", "batch_size: 7"},
        {"per_device_train_batch_size=max(1, 4)", "batch_size: 4"},
        {"max_steps=1_000", "max_steps: 1000"},
        {"max_steps=-1", ""},
        {"num_train_epochs=int(2.9)", "num_epochs: 2"},
        {"seed=0x2a", "seed: 42"},
        {"seed=1 // 0", ""},
        {"lr_scheduler_type='cosine_with_restarts'", "lr_scheduler_type: cosine_with_restarts"},
        {"lr_scheduler_type=SchedulerType.WARMUP_STABLE_DECAY",
         "lr_scheduler_type: warmup_stable_decay"},
        {"lr_scheduler_type='constant_with_warmup'", "lr_scheduler_type: constant"},
        {"lr_scheduler_type='greedy'", "lr_scheduler_type: constant"},
        {"lr_scheduler_kwargs={'num_cycles': 3}, lr_scheduler_type='cosine_with_restarts'",
         "lr_scheduler_kwargs: num_cycles=3"},
        {"lr_scheduler_kwargs=dict(mode='min', factor=0.5, patience=2), "
         "lr_scheduler_type='reduce_lr_on_plateau'",
         "lr_scheduler_kwargs: factor=0.5,patience=2"},
        {"lr_scheduler_kwargs={'num_cycles': input()}, lr_scheduler_type='cosine'", ""},
        {"lr_scheduler_kwargs={'num_cycles': 3}, lr_scheduler_type='constant'", ""},
        {"lr_scheduler_kwargs={'num_cycles': 3}", ""},
        {"lr_scheduler_kwargs={}", ""},
        {"optim='paged_adamw_8bit'", "optimizer: adamw_8bit"},
        {"optim='adamw_bnb_8bit'", "optimizer: adamw_8bit"},
        {"optim='adamw_8bit'", "optimizer: adamw_8bit"},
        {"optim='paged_adamw_32bit'", "optimizer: adamw"},
        {"optim='galore_adamw'", "optimizer: adamw"},
        {"optim='sgd'", "optimizer: sgd"},
        {"group_by_length=True", "group_by_length: true"},
        {"group_by_length=False", ""},
        {"train_sampling_strategy='group_by_length'", "group_by_length: true"},
        {"train_sampling_strategy='sequential'", "shuffle: false"},
        {"save_strategy='best'", "save_strategy: best"},
        {"save_strategy=SaveStrategy.BEST", "save_strategy: best"},
        {"optim=OptimizerNames.ADAMW_TORCH", "optimizer: adamw"},
        {"eval_steps=0.1", ""},
        {"eval_steps=0.1, max_steps=55", "steps_per_eval: 6"},
        {"evaluation_strategy='epoch'", "eval_strategy: epoch"},
        {"evaluate_during_training=True", "eval_strategy: steps"},
    };
    (void)state;
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        char source[300];
        struct hone_migration *m = NULL;
        struct hone_err err = {0};
        snprintf(source, sizeof source, "TrainingArguments('o', %s)\n", cases[i].text);
        assert_int_equal(hone_migrate_parse(&m, "x.py", source, strlen(source), &err), 0);
        const char *name = cases[i].text, *row = NULL;
        size_t n = strcspn(name, "=");
        for (size_t k = 0; k < m->n_rows; k++)
            if (m->rows[k].line && strlen(m->rows[k].argument) == n &&
                memcmp(m->rows[k].argument, name, n) == 0)
                row = m->rows[k].setting;
        assert_non_null(row);
        assert_string_equal(row, cases[i].setting);
        assert_accepted(m->yaml);
        hone_migrate_close(&m);
    }
}

/* target_modules and layers_to_transform: what the adapter's layers become. */
static void test_targets(void **state)
{
    static const char some[] = "not carried", all[] = "q_proj,k_proj,v_proj,o_proj";
    static const struct {
        const char *text, *targets; /* of train.yaml, by commas; or why not */
    } cases[] = {
        {"target_modules=r'.*\\.(q|v)_proj'", "q_proj,v_proj"},
        {"target_modules='.*(self_attn|mlp).*(up|down|k)_proj$'", "k_proj,up_proj,down_proj"},
        {"target_modules=r'model\\.layers\\.\\d+\\.self_attn\\.[qkvo]_proj'", all},
        {"target_modules=r'.*\\.\\d{1,2}\\.mlp\\.up_proj'", "up_proj"},
        {"target_modules=r'.*layers\\.(30|31)\\..*(q|k)_proj'",
         "model.layers.30.self_attn.q_proj,model.layers.31.self_attn.q_proj,"
         "model.layers.30.self_attn.k_proj,model.layers.31.self_attn.k_proj"},
        {"target_modules='.*q_proj|lm_head'", "q_proj"},
        {"target_modules=r'.*\\.\\d*[02468]\\.self_attn.q_proj'", some},
        {"target_modules='(q_proj'", some},
        {"target_modules='(a+)+b|((((.*)*)*)*)*x'", some},
        {"target_modules='transformer.h.*.attn'", some},
        {"target_modules=['q_proj', 'lm_head'], layers_to_transform=[1, 2]",
         "model.layers.1.self_attn.q_proj,model.layers.2.self_attn.q_proj"},
        {"layers_to_transform=[2], target_modules=['mlp.up_proj'], layers_pattern='layers'",
         "model.layers.2.mlp.up_proj"},
        {"layers_to_transform=list(range(7, 9)), target_modules=None",
         "model.layers.7.self_attn.q_proj,model.layers.7.self_attn.v_proj,"
         "model.layers.8.self_attn.q_proj,model.layers.8.self_attn.v_proj"},
        {"layers_to_transform=3",
         "model.layers.3.self_attn.q_proj,model.layers.3.self_attn.v_proj"},
        {"layers_to_transform=None, target_modules=['q_proj']", "q_proj"},
        {"target_modules=['q_proj'], layers_to_transform=[input()]", "q_proj"},
        {"target_modules=['q_proj'], layers_to_transform=[-1]", "q_proj"},
        {"target_modules='all-linear', layers_to_transform=[1]", "all-linear"},
    };
    (void)state;
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        char source[300], got[1000] = "";
        struct hone_migration *m = NULL;
        struct hone_err err = {0};
        snprintf(source, sizeof source, "LoraConfig(%s)\n", cases[i].text);
        assert_int_equal(hone_migrate_parse(&m, "x.py", source, strlen(source), &err), 0);
        assert_accepted(m->yaml);
        const char *at = strstr(m->yaml, "target_modules:");
        for (at = at ? strstr(at, "\n  - ") : NULL; at && strncmp(at, "\n  - ", 5) == 0;) {
            size_t n = strcspn(at + 5, "\n"), used = strlen(got);
            snprintf(got + used, sizeof got - used, "%s%.*s", used ? "," : "", (int)n, at + 5);
            at += 5 + n;
        }
        for (size_t k = 0; k < m->n_rows && cases[i].targets == some; k++)
            if (strcmp(m->rows[k].argument, "target_modules") == 0)
                snprintf(got, sizeof got, "%s", hone_migrate_fate_name(m->rows[k].fate));
        assert_string_equal(got, cases[i].targets);
        hone_migrate_close(&m);
    }
}

/* Without an adapter all weights are trained; torch's AdamW over all parameters decays norms too.
 */
static void test_full(void **state)
{
    static const char loop[] = "m = AutoModelForCausalLM.from_pretrained('m')\n%s\n"
                               "for epoch in range(2):\n    loss.backward()\n";
    static const struct {
        const char *text;
        bool full, norms;
        const char *decay; /* NULL: not looked at */
    } cases[] = {
        {"AdamW(m.parameters(), lr=1e-5)", true, true, "0.01"},
        {"SGD(m.parameters(), lr=1e-5)", true, true, NULL},
        {"Adam(m.parameters(), lr=1e-5)", true, false, NULL},
        {"d = 0.1\nAdamW([{'params': a, 'weight_decay': d}, {'params': b, 'weight_decay': 0.0}])",
         true, false, "0.1"},
        {"AdamW([{'params': a}, {'params': b, 'lr': 1e-3}], weight_decay=0.2)", true, false, "0.2"},
        {"m = get_peft_model(m, LoraConfig(r=4))\nAdamW(m.parameters())", false, false, "0.01"},
        {"m = get_peft_model(m, config_of(x))\nAdamW(m.parameters())", false, false, "0.01"},
        {"m = PeftModel.from_pretrained(m, 'a', is_trainable=True)\nAdamW(m.parameters())", false,
         false, NULL},
        {"Trainer(model=m, args=TrainingArguments('o'))", true, false, "0.0"},
        {"q = BitsAndBytesConfig(load_in_4bit=True)\nTrainer(model=m, args=TrainingArguments('o'))",
         false, false, NULL},
        {"SFTTrainer(model='m', peft_config=config_of(x))", false, false, NULL},
    };
    (void)state;
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        struct hn_buf source = {0};
        char decay[40];
        struct hone_migration *m = NULL;
        struct hone_err err = {0};
        hn_buf_printf(&source, loop, cases[i].text);
        if (hone_migrate_parse(&m, "x.py", hn_buf_str(&source), source.len, &err))
            fail_msg("%s\n%s", hn_buf_str(&source), err.message);
        assert_accepted(m->yaml);
        snprintf(decay, sizeof decay, "\nweight_decay: %s ", cases[i].decay ? cases[i].decay : "");
        if (cases[i].full != (strstr(m->yaml, "fine_tune_type: full") != NULL) ||
            cases[i].norms != (strstr(m->yaml, "decay_norms: true") != NULL) ||
            (cases[i].decay && !strstr(m->yaml, decay)))
            fail_msg("%s\n%s", hn_buf_str(&source), m->yaml);
        hone_migrate_close(&m);
        hn_buf_release(&source);
    }
}

/* ---- every field has a row ---------------------------------------------------------------------
 */

static void all_known(const struct hn_rules *rules, const char *names)
{
    while (*names) {
        size_t n = strcspn(names, " ");
        if (!hn_rule_find(rules, (struct hn_str){names, n}))
            fail_msg("no rule for %.*s", (int)n, names);
        names += n;
        names += strspn(names, " ");
    }
}

/* test/migrate/fields.txt, which tools/make_migrate_fields.py reads out of their sources. */
static void test_all_fields(void **state)
{
    static const struct {
        const char *name;
        const struct hn_rules *rules;
    } tables[] = {{"training", &hn_rules_training}, {"sft", &hn_rules_sft},
                  {"trl", &hn_rules_trl},           {"lora", &hn_rules_lora},
                  {"bnb", &hn_rules_bnb},           {"llama_factory", &hn_rules_llama_factory}};
    struct hn_buf text = {0};
    struct hone_err err = {0};
    size_t n = 0, missing = 0;
    (void)state;
    assert_int_equal(hn_file_read(HN_TEST_DIR "/migrate/fields.txt", 1 << 20, &text, &err), 0);
    for (const char *line = hn_buf_str(&text); *line; n++) {
        size_t length = strcspn(line, "\n"), word = strcspn(line, " ");
        const struct hn_rules *rules = NULL;
        for (size_t i = 0; i < HN_COUNT(tables); i++)
            if (strlen(tables[i].name) == word && memcmp(tables[i].name, line, word) == 0)
                rules = tables[i].rules;
        assert_non_null(rules);
        struct hn_str field = {line + word + 1, length - word - 1};
        bool found = hn_rule_find(rules, field) ||
                     (rules == &hn_rules_trl &&
                      (hn_rule_find(&hn_rules_model, field) || hn_rule_find(&hn_rules_bnb, field)));
        if (!found) {
            print_message("no rule for %.*s\n", (int)length, line);
            missing++;
        }
        line += length + (line[length] == '\n');
    }
    hn_buf_release(&text);
    assert_int_equal(missing, 0);
    assert_true(n > 250);
}

/* transformers 5.23 and 4, TRL 1.16, PEFT 0.21, bitsandbytes 0.50: every field of their configs. */
static void test_fields(void **state)
{
    (void)state;
    all_known(
        &hn_rules_training,
        "output_dir per_device_train_batch_size num_train_epochs max_steps learning_rate "
        "lr_scheduler_type lr_scheduler_kwargs warmup_steps optim optim_args weight_decay "
        "adam_beta1 adam_beta2 adam_epsilon optim_target_modules gradient_accumulation_steps "
        "average_tokens_across_devices max_grad_norm label_smoothing_factor bf16 fp16 "
        "bf16_full_eval fp16_full_eval tf32 activation_checkpointing "
        "activation_checkpointing_kwargs gradient_checkpointing gradient_checkpointing_kwargs "
        "torch_compile torch_compile_backend torch_compile_mode use_liger_kernel "
        "liger_kernel_config use_cache neftune_noise_alpha torch_empty_cache_steps "
        "auto_find_batch_size logging_strategy logging_steps logging_first_step "
        "log_on_each_node logging_nan_inf_filter include_num_input_tokens_seen log_level "
        "log_level_replica disable_tqdm report_to run_name project trackio_space_id "
        "eval_strategy eval_steps eval_delay per_device_eval_batch_size prediction_loss_only "
        "eval_on_start eval_accumulation_steps include_for_metrics batch_eval_metrics "
        "save_only_model save_strategy save_steps save_total_limit enable_jit_checkpoint "
        "push_to_hub hub_model_id hub_strategy hub_token hub_private_repo hub_always_push "
        "hub_revision load_best_model_at_end metric_for_best_model greater_is_better "
        "ignore_data_skip restore_callback_states_from_checkpoint full_determinism seed "
        "data_seed use_cpu accelerator_config parallelism_config dataloader_drop_last "
        "dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers "
        "dataloader_prefetch_factor dataloader_multiprocessing_context dataloader_in_order "
        "remove_unused_columns label_names train_sampling_strategy length_column_name "
        "ddp_backend ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers "
        "ddp_timeout fsdp fsdp_config deepspeed debug skip_memory_metrics do_train do_eval "
        "do_predict resume_from_checkpoint local_rank");
    all_known(
        &hn_rules_training,
        "warmup_ratio evaluation_strategy overwrite_output_dir no_cuda use_mps_device "
        "save_safetensors logging_dir group_by_length per_gpu_train_batch_size "
        "per_gpu_eval_batch_size fp16_opt_level half_precision_backend fp16_backend "
        "jit_mode_eval use_ipex past_index tpu_num_cores tpu_metrics_debug "
        "include_inputs_for_metrics include_tokens_per_second torchdynamo ray_scope adafactor "
        "dispatch_batches split_batches push_to_hub_model_id push_to_hub_organization "
        "push_to_hub_token mp_parameters");
    all_known(&hn_rules_sft,
              "max_length max_seq_length truncation_mode packing packing_strategy padding_free "
              "eval_packing pad_to_multiple_of completion_only_loss assistant_only_loss loss_type "
              "activation_offloading dataset_text_field shuffle_dataset eos_token pad_token "
              "chat_template_path dataset_num_proc dataset_kwargs model_init_kwargs learning_rate");
    all_known(&hn_rules_lora,
              "r target_modules exclude_modules lora_alpha lora_dropout fan_in_fan_out bias "
              "use_rslora modules_to_save init_lora_weights layers_to_transform layers_pattern "
              "rank_pattern alpha_pattern megatron_config megatron_core trainable_token_indices "
              "loftq_config eva_config corda_config lora_ga_config velora_config monteclora_config "
              "arrow_config kasa_config use_dora alora_invocation_tokens use_qalora "
              "qalora_group_size layer_replication runtime_config lora_bias target_parameters "
              "use_bdlora ensure_weight_tying peft_type task_type auto_mapping peft_version "
              "base_model_name_or_path revision inference_mode alpha dropout");
    all_known(&hn_rules_bnb,
              "load_in_8bit load_in_4bit llm_int8_threshold llm_int8_skip_modules "
              "llm_int8_enable_fp32_cpu_offload llm_int8_has_fp16_weight bnb_4bit_compute_dtype "
              "bnb_4bit_quant_type bnb_4bit_use_double_quant bnb_4bit_quant_storage");
    all_known(&hn_rules_mlx,
              "model train data fine_tune_type optimizer mask_prompt num_layers batch_size iters "
              "val_batches learning_rate steps_per_report steps_per_eval grad_accumulation_steps "
              "resume_adapter_file adapter_path save_every test test_batches max_seq_length config "
              "grad_checkpoint clear_cache_threshold report_to project_name seed "
              "trust_remote_code lora_parameters optimizer_config lr_schedule hf_dataset "
              "prompt_feature completion_feature text_feature chat_feature");
}

/* ---- malformed files ---------------------------------------------------------------------------
 */

static void test_malformed(void **state)
{
    static const struct {
        const char *path, *text, *message;
    } cases[] = {
        {"a.ipynb", "", "a.ipynb: line 1, column 1: found the end, expected a JSON value"},
        {"a.ipynb", "{\"cells\": 3}",
         "a.ipynb: \"cells\" is an integer, expected the list of a notebook's cells"},
        {"a.ipynb", "{\"cells\": [3]}", "a.ipynb: cell 1 is an integer, expected an object"},
        {"a.ipynb", "{\"cells\": [{\"cell_type\": \"code\"}]}",
         "a.ipynb: cell 1: \"source\" is nothing, expected a string or a list of strings"},
        {"a.ipynb", "{\"cells\": [{\"cell_type\": \"code\", \"source\": [\"a\", 1]}]}",
         "a.ipynb: cell 1: \"source\"[1] is an integer, expected a string"},
        {"a.json", "{\"a\": 1}",
         "a.json: a config with no setting of mlx-lm's, TRL's, axolotl's, LLaMA-Factory's, "
         "torchtune's or PEFT's that hone knows"},
        {"a.json", "[1]",
         "a.json: an array; expected a notebook (with \"cells\"), or an adapter_config.json"},
        {"a.yaml", "model: m\ntemplate: qwen3\ntrain_dataset: d\npeft_config: {name: lora}\n",
         "a.yaml: this is LLaMA-Factory's v1 config, which hone migrate does not read; it reads "
         "mlx-lm's, TRL's, axolotl's, LLaMA-Factory's and torchtune's, PEFT's "
         "adapter_config.json, scripts and notebooks (for this one, set hone train's own options)"},
        {"a.ipynb",
         "{\"cells\": [{\"cell_type\": \"code\", \"source\": \"!python train_lora.py\"}]}",
         "a.ipynb, cell 1, line 1: another program trains here: give hone migrate its script, or "
         "its config"},
        {"a.sh", "axolotl train none.yml\n",
         "a.sh, line 1: its settings are in none.yml, which cannot be read here: give that file to "
         "hone migrate"},
        {"a.sh", "echo a\n",
         "a.sh: no line was found that trains (mlx_lm.lora --train, trl sft, llamafactory-cli "
         "train, axolotl train, tune run)"},
        {"a.yaml", "- 1\n", "a.yaml:1: a config file is a map of settings (key: value)"},
        {"a.py", "x = 'abc\n", "a.py, line 1: found a string that does not end; this is no Python"},
        {"a.py", "x = (1,\n2\n",
         "a.py, line 3: found the end, with a bracket still open; this is no Python"},
        {"a.py", "\xff", "a.py: byte 0 is no UTF-8 text; expected a Python script"},
        {"a.py", "print('hello')\n",
         "a.py: no call was found that hone knows (from_pretrained, LoraConfig, TrainingArguments, "
         "SFTTrainer…): is this the file that trains?"},
    };
    (void)state;
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        struct hone_migration *m = NULL;
        struct hone_err err = {0};
        int rc = hone_migrate_parse(&m, cases[i].path, cases[i].text, strlen(cases[i].text), &err);
        assert_int_equal(rc, HONE_FAILED);
        assert_null(m);
        assert_string_equal(err.message, cases[i].message);
    }
}

/* Nesting is bounded: a statement that is too deep is left out, and said. */
static void test_deep(void **state)
{
    struct hn_buf source = {0};
    struct hone_migration *m = NULL;
    struct hone_err err = {0};
    bool said = false;
    (void)state;
    hn_buf_add_str(&source, "LoraConfig(r=4)\nx = ");
    for (int i = 0; i < 100000; i++)
        hn_buf_add_char(&source, '(');
    for (int i = 0; i < 100000; i++)
        hn_buf_add_char(&source, ')');
    hn_buf_add_str(&source, "\nTrainingArguments('o')\n");
    assert_int_equal(hone_migrate_parse(&m, "x.py", hn_buf_str(&source), source.len, &err), 0);
    for (size_t i = 0; i < m->n_rows; i++)
        said = said || (strcmp(m->rows[i].call, "not understood") == 0 && m->rows[i].line == 2);
    assert_true(said);
    assert_non_null(strstr(m->yaml, "lora_rank: 4"));
    assert_non_null(strstr(m->yaml, "adapter_path: o"));
    hone_migrate_close(&m);
    hn_buf_release(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),   cmocka_unit_test(test_values),
        cmocka_unit_test(test_numbers),    cmocka_unit_test(test_fields),
        cmocka_unit_test(test_malformed),  cmocka_unit_test(test_deep),
        cmocka_unit_test(test_all_fields), cmocka_unit_test(test_targets),
        cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
