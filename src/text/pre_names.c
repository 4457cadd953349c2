#include "text/pre_names.h"
#include "text/unicode.h"

#include <string.h>

/* The patterns are those of the models' own tokenizer.json files where they have one pattern, else
 * the list that llama.cpp applies for the name, one pattern after another. */
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "\\s+(?!\\S)|\\s+"
#define WORDS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define SIGNS "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|" SPACES
#define LLAMA3 CONTRACTION WORDS "\\p{N}{1,3}" SIGNS
#define QWEN2 CONTRACTION WORDS "\\p{N}" SIGNS
#define QWEN35                                                                                     \
    CONTRACTION                                                                                    \
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|"          \
    "\\s*[\\r\\n]+|" SPACES
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(end)                                                                                 \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" end "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER     \
    "*" end "|"
#define SIGNS_SLASH "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|" SPACES
#define TEKKEN CASED("") "\\p{N}" SIGNS_SLASH
#define GPT4O CASED(CONTRACTION "?") "\\p{N}{1,3}" SIGNS_SLASH
#define BAILING                                                                                    \
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|" \
    "\\s*[\\r\\n]|" SPACES
#define SEED                                                                                       \
    CONTRACTION WORDS "\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|" SPACES
#define CJK "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+"
#define DEEPSEEK3                                                                                  \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"           \
    "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|" SPACES
#define DEEPSEEK_LETTERS \
    "\\s?[" \
    "A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}" \
    "\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}" \
    "\\x{37B}-\\x{37D}\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}" \
    "\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}" \
    "\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}" \
    "\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}" \
    "\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}" \
    "\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}" \
    "\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}" \
    "\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}" \
    "\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}" \
    "\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}\\x{212A}-\\x{212D}" \
    "\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}" \
    "\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}" \
    "\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}" \
    "\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}" \
    "\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}" \
    "\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}" \
    "\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}" \
    "]+"
#define DEEPSEEK_SIGNS \
    "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+"
#define HAN_HANGUL "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"
#define BLOOM \
    " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+"
#define NOT_HAN_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define NOT_HAN_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define KIMI                                                                                       \
    "[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?" NOT_HAN_UPPER "*" NOT_HAN_LOWER "+" CONTRACTION           \
    "?|[^\\r\\n\\p{L}\\p{N}]?" NOT_HAN_UPPER "+" NOT_HAN_LOWER "*" CONTRACTION                     \
    "?|\\p{N}{1,3}" SIGNS
#define EXAONE_MOE                                                                                 \
    CONTRACTION                                                                                    \
    "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| "                        \
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|" SPACES
#define YOUTU \
    "[\\x{AC00}-\\x{D7A3}\\x{3131}-\\x{318E}]+|[\\x{FF01}\\x{2026}\\x{201C}\\x{201D}\\x{2018}" \
    "\\x{2019}\\x{2014}\\x{FF1A}\\x{FF1B}\\x{FF0C}\\x{3001}-\\x{303F}\\x{FE30}-\\x{FE4F}]+|" \
    "[\\x{3105}-\\x{312F}]+|" CJK

enum { MAX_NAMES = 14, MAX_PATTERNS = 6 };

static const struct {
    const char *names[MAX_NAMES];
    const char *patterns[MAX_PATTERNS];
    bool ignore_merges, add_bos;
} pres[] = {
    {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"},
     {"\\p{N}", GPT2},
     false,
     false},
    {{"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v1-en", "jina-v2-es", "jina-v2-de",
      "jina-v2-code", "a.x-4.0", "mellum", "modern-bert", "exaone4", "roberta-bpe"},
     {GPT2},
     false,
     false},
    {{"mpt", "olmo", "jais", "trillion", "granite-docling"}, {GPT2}, false, false},
    {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
      "jina-v5-nano"},
     {LLAMA3},
     true,
     true},
    {{"dbrx", "smaug-bpe", "chatglm-bpe", "glm4"}, {LLAMA3}, false, false},
    {{"qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "solar-open", "grok-2", "megrez",
      "kormo"},
     {QWEN2},
     false,
     false},
    {{"qwen35"}, {QWEN35}, false, false},
    {{"tekken"}, {TEKKEN}, true, true},
    {{"gpt-4o", "llama4", "minimax-m2"}, {GPT4O}, false, false},
    {{"deepseek-llm"},
     {"[\r\n]", DEEPSEEK_LETTERS, DEEPSEEK_SIGNS, "\\s+$", HAN_HANGUL,
      "\\p{N}+"},
     false,
     false},
    {{"deepseek-coder"},
     {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", HAN_HANGUL, "\\p{N}"},
     false,
     false},
    {{"deepseek-v3", "hunyuan-dense", "joyai-llm"},
     {"\\p{N}{1,3}", CJK, DEEPSEEK3},
     false,
     false},
    {{"youtu"}, {YOUTU, CASED(CONTRACTION "?") "\\p{N}" SIGNS_SLASH}, true, false},
    {{"falcon"}, {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}, false, false},
    {{"poro-chat", "bloom", "gpt3-finnish"}, {BLOOM}, false, false},
    {{"viking"}, {BLOOM, "\\p{N}"}, false, false},
    {{"chameleon"},
     {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", "\\p{N}",
      "[\\p{P}!-/:-@\\[-`{-~]", GPT2},
     false,
     true},
    {{"bailingmoe", "bailingmoe2", "llada-moe"}, {BAILING}, false, false},
    {{"seed-coder"}, {SEED}, false, false},
    {{"kimi-k2"}, {KIMI}, false, false},
    {{"exaone-moe"}, {EXAONE_MOE}, false, false},
    {{"minicpm5"},
     {"\\p{N}{1,3}", CONTRACTION WORDS "\\p{N}+" SIGNS},
     true,
     false},
    {{"default"},
     {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"},
     false,
     false},
};

static int refuse(struct hn_str name, const char *path, struct hone_err *err)
{
    struct hn_buf list = {0};
    for (size_t i = 0; i < HN_COUNT(pres); i++)
        for (size_t k = 0; k < MAX_NAMES && pres[i].names[k]; k++) {
            hn_buf_add_str(&list, list.len ? ", " : "");
            hn_buf_add_str(&list, pres[i].names[k]);
        }
    int rc = hn_fail(err, HONE_FAILED,
                     "%s: tokenizer.ggml.pre is \"%.*s\", which is not known; known are %s", path,
                     hn_utf8_cut(name, 60), name.p, hn_buf_str(&list));
    hn_buf_release(&list);
    return rc;
}

static size_t find(struct hn_str name)
{
    for (size_t i = 0; i < HN_COUNT(pres); i++)
        for (size_t k = 0; k < MAX_NAMES && pres[i].names[k]; k++)
            if (hn_str_is(name, pres[i].names[k]))
                return i;
    return HN_COUNT(pres);
}

int hn_pre_splits(struct hone_tokenizer *t, struct hn_str name, const char *path, bool *add_bos,
                  struct hone_err *err)
{
    size_t k = find(name);
    if (k == HN_COUNT(pres))
        return refuse(name, path, err);
    *add_bos = pres[k].add_bos;
    t->model.ignore_merges = pres[k].ignore_merges;
    for (size_t i = 0; i < MAX_PATTERNS && pres[k].patterns[i]; i++) {
        struct hn_split_step step = {.kind = HN_SPLIT_PATTERN, .behavior = HN_ISOLATED};
        int rc = hn_regex_open(&step.re, hn_str_of(pres[k].patterns[i]), err);
        if (rc)
            return rc;
        t->splits[t->n_splits++] = step;
    }
    t->splits[t->n_splits++] = (struct hn_split_step){.kind = HN_SPLIT_BYTE_LEVEL};
    return 0;
}

/* The pattern that a step of t cuts by, as the table writes it; "" when it cuts nowhere; NULL when
 * the table has no word for it. */
static const char *pattern_of(const struct hn_split_step *s)
{
    bool covers = s->behavior == HN_ISOLATED || (s->behavior == HN_REMOVED && s->invert);
    if (s->kind == HN_SPLIT_BYTE_LEVEL)
        return s->prefix_space ? NULL : s->re ? hn_regex_source(s->re) : "";
    if (s->kind == HN_SPLIT_DIGITS && s->behavior == HN_ISOLATED)
        return "\\p{N}";
    /* Cutting out what lies between matches is no loss where the pattern matches everything, as
     * those of the table do that stand alone. */
    return s->kind == HN_SPLIT_PATTERN && s->re && covers ? hn_regex_source(s->re) : NULL;
}

/* The same text, or a pattern that means the same. */
static bool same_pattern(const struct hn_split_step *s, const char *have, const char *want)
{
    struct hn_regex *re = NULL;
    bool same = strcmp(have, want) == 0;
    if (!same && s->re && hn_regex_open(&re, hn_str_of(want), NULL) == 0)
        same = hn_regex_same(s->re, re);
    hn_regex_close(&re);
    return same;
}

static bool cuts_as(const struct hone_tokenizer *t, size_t row)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_splits; i++) {
        const char *have = pattern_of(&t->splits[i]);
        const char *want = n < MAX_PATTERNS ? pres[row].patterns[n] : NULL;
        if (have && !*have)
            continue;
        if (!have || !want || !same_pattern(&t->splits[i], have, want) ||
            (t->splits[i].invert && t->n_splits > 2))
            return false;
        n++;
    }
    return n == MAX_PATTERNS || !pres[row].patterns[n];
}

const char *hn_pre_name(const struct hone_tokenizer *t)
{
    for (size_t i = 0; i < HN_COUNT(pres); i++)
        if (pres[i].ignore_merges == t->model.ignore_merges && cuts_as(t, i))
            return pres[i].names[0];
    return t->model.bpe.n_merges ? NULL : "gpt-2";
}
