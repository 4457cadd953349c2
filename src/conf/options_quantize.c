/* The rows of quantising a base while it is loaded, by the names of transformers'
 * BitsAndBytesConfig; the column transformers has its defaults. */
#include "conf/option.h"

#include "conf/settings.h"

#define AT(field) .offset = offsetof(struct hn_settings, device.quantize.field)
#define NOWHERE   .offset = HN_OPTION_NOWHERE
#define LOADS                                                                                      \
    (HN_BIT(HN_TRAIN) | HN_BIT(HN_GENERATE) | HN_BIT(HN_CHAT) | HN_BIT(HN_TEST) |                  \
     HN_BIT(HN_INFO) | HN_BIT(HN_BENCH) | HN_BIT(HN_COMPARE))
#define ACCEPTED .commands = LOADS, .group = "Accepted", .flags = HN_OPTION_NOT_KEPT
#define ROW      .commands = LOADS, .group = "Quantisation"

static const struct hn_choice types[] = {{"nf4", HONE_NF4}, {"fp4", HONE_FP4}, {0}};

const struct hn_option hn_options_quantize[] = {
    {.name = "load-in-4bit",
     ROW,
     .type = HN_OPTION_BOOL,
     AT(load_in_4bit),
     .def = "false",
     .help = "quantise a base whose files are not to 4 bits while it is loaded, as bitsandbytes "
             "does: all linear layers but lm_head"},
    {.name = "load-in-8bit",
     ROW,
     .type = HN_OPTION_BOOL,
     AT(load_in_8bit),
     .def = "false",
     .help = "the same to int8 (the weights of LLM.int8)"},
    {.name = "bnb-4bit-quant-type",
     ROW,
     .type = HN_OPTION_ENUM,
     .choices = types,
     .value = "NAME",
     AT(bnb_4bit_quant_type),
     .def = "nf4",
     .transformers = "fp4",
     .help = "the 16 values that load-in-4bit chooses from"},
    {.name = "bnb-4bit-use-double-quant",
     .aliases = "use-bnb-nested-quant",
     ROW,
     .type = HN_OPTION_BOOL,
     AT(bnb_4bit_use_double_quant),
     .def = "false",
     .help = "quantise the scales of load-in-4bit too"},
    {.name = "llm-int8-skip-modules",
     ROW,
     .type = HN_OPTION_LIST,
     AT(llm_int8_skip_modules),
     .offset_n = offsetof(struct hn_settings, device.quantize.n_llm_int8_skip_modules),
     .value = "LIST",
     .help = "what load-in-4bit and load-in-8bit leave as it is, by the beginning or the end of a "
             "module's path; lm_head when not set, and only then (as in transformers)"},
    {.name = "bnb-4bit-compute-dtype",
     ACCEPTED,
     .type = HN_OPTION_FIXED,
     .value = "X",
     NOWHERE,
     .def = "float32|float16|bfloat16|fp32|fp16|bf16|torch.float32|torch.float16|torch.bfloat16",
     .help = "without effect: hone multiplies as exactly as float32 (see compute)"},
    {.name = "bnb-4bit-quant-storage",
     ACCEPTED,
     .type = HN_OPTION_FIXED,
     .value = "X",
     NOWHERE,
     .def = "uint8|int8|float16|bfloat16|float32",
     .help = "without effect: how torch names the same bytes"},
    {.name = "llm-int8-threshold",
     ACCEPTED,
     .type = HN_OPTION_FIXED,
     .value = "X",
     NOWHERE,
     .def = "6.0|6|0.0|0",
     .help =
         "without effect: hone does not round what meets the weights, so nothing is an outlier"},
};

const size_t hn_n_options_quantize = HN_COUNT(hn_options_quantize);
