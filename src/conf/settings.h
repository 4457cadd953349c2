/* Where every option is stored: the public options of each call, and what the commands themselves
 * need. */
#ifndef HN_CONF_SETTINGS_H
#define HN_CONF_SETTINGS_H

#include "hone/bench.h"
#include "hone/compare.h"
#include "hone/convert.h"
#include "hone/data.h"
#include "hone/generate.h"
#include "hone/hub.h"
#include "hone/test.h"
#include "hone/train.h"

enum hn_preset { HN_PRESET_HONE, HN_PRESET_TRANSFORMERS, HN_PRESET_MLX };

struct hn_settings {
    struct hone_train_options train;
    struct hone_generate_options generate;
    struct hone_prepare_options prepare;
    struct hone_test_options test;
    struct hone_bench_options bench;
    struct hone_pull_options pull;
    struct hone_compare_options compare;
    struct hone_convert_options convert;

    /* of several commands */
    const char *model;
    const char *adapter; /* adapter to apply; training's output is train.adapter_path */
    const char *data;    /* of hone test */
    struct hone_device_options device;
    bool json, verbose;

    /* train */
    const char *config;
    int preset; /* enum hn_preset */
    bool train_flag;
    double warmup_ratio;
    bool use_dora; /* for train.fine_tune_type */
    bool narrow;   /* transformers' bf16 and fp16, which are not what hone computes in */
    bool test_after;
    int64_t test_batches;

    /* generate */
    const char *prompt, *system_prompt, *prefill_response, *chat_template_config;
    bool ignore_chat_template;

    /* prepare */
    int64_t preview;

    /* tokenize */
    const char *text;
    bool decode, special;

    /* test */
    const char *compare_with;

    /* compare */
    const char *const *compare_prompts;
    size_t n_compare_prompts;
    int64_t compare_train_steps;
    const char *pytorch, *pytorch_dtype, *pytorch_device;
    double pytorch_timeout;

    /* migrate */
    const char *output;
    bool run;

    /* convert */
    int convert_to; /* enum hn_convert_to; fuse too */

    /* fuse */
    bool fuse_gguf, fuse_measure;
    const char *fuse_gguf_path;

    /* info */
    bool plan_training;

    /* help */
    bool markdown;
};

enum hn_convert_to {
    HN_CONVERT_TO_AUTO,
    HN_CONVERT_TO_HF,
    HN_CONVERT_TO_MLX,
    HN_CONVERT_TO_GGUF,
    HN_CONVERT_TO_PEFT
};

#endif
