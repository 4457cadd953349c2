#include "text/decode.h"
#include "text/text_steps.h"

#include <string.h>

static void send(struct hn_decode_chain *c, size_t k, const char *p, size_t n);
static void send_end(struct hn_decode_chain *c, size_t k);
static void send_finish(struct hn_decode_chain *c, size_t k);

static void send_token(struct hn_decode_chain *c, size_t k, const char *p, size_t n)
{
    send(c, k, p, n);
    send_end(c, k);
}

static const char replacement[] = "\xef\xbf\xbd";

/* How many bytes of s[n] form a character, or (negative) an invalid stretch that becomes one
 * U+FFFD, as Rust's from_utf8_lossy cuts it; 0: more bytes are needed to tell. */
static int char_length(const unsigned char *s, size_t n)
{
    unsigned char b = s[0];
    if (b < 0x80)
        return 1;
    int want = b >= 0xc2 && b <= 0xdf   ? 2
               : b >= 0xe0 && b <= 0xef ? 3
               : b >= 0xf0 && b <= 0xf4 ? 4
                                        : 0;
    if (!want)
        return -1;
    for (int i = 1; i < want; i++) {
        if ((size_t)i == n)
            return 0;
        unsigned char low = 0x80, high = 0xbf;
        if (i == 1) {
            low = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
            high = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
        }
        if (s[i] < low || s[i] > high)
            return -i;
    }
    return want;
}

/* Pass on what of the held bytes is certain; at the end, everything. */
static void send_lossy(struct hn_decode_chain *c, size_t k, bool at_end)
{
    struct hn_buf *held = &c->states[k].held;
    const unsigned char *s = (const unsigned char *)hn_buf_str(held);
    size_t i = 0, start = 0;
    while (i < held->len) {
        int n = char_length(s + i, held->len - i);
        if (n > 0) {
            i += (size_t)n;
            continue;
        }
        if (n == 0 && !at_end)
            break;
        send(c, k + 1, (const char *)s + start, i - start);
        send(c, k + 1, replacement, 3);
        i = n == 0 ? held->len : i + (size_t)-n;
        start = i;
    }
    send(c, k + 1, (const char *)s + start, i - start);
    if (held->data) {
        memmove(held->data, held->data + i, held->len - i);
        held->len -= i;
    }
}

/* The bytes that a token of byte-level characters stands for, or the token itself. */
static void byte_level_token(struct hn_str token, struct hn_buf *out)
{
    size_t start = out->len;
    for (size_t i = 0; i < token.n;) {
        int32_t cp = hn_utf8_next(token.p, token.n, &i);
        int byte = cp < 0 ? -1 : hn_char_byte((uint32_t)cp);
        if (byte < 0) {
            out->len = start;
            hn_buf_add(out, token.p, token.n);
            return;
        }
        hn_buf_add_char(out, (char)byte);
    }
}

static int hex_digit(char ch)
{
    return ch >= '0' && ch <= '9'                 ? ch - '0'
           : (ch | 32) >= 'a' && (ch | 32) <= 'f' ? (ch | 32) - 'a' + 10
                                                  : -1;
}

/* The byte of "<0x61>", or -1.  Rust's from_str_radix also takes "+6". */
static int fallback_byte(struct hn_str t)
{
    if (t.n != 6 || memcmp(t.p, "<0x", 3) != 0 || t.p[5] != '>')
        return -1;
    int high = t.p[3] == '+' ? 0 : hex_digit(t.p[3]), low = hex_digit(t.p[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* A run of byte tokens has ended: it is text, or one U+FFFD for each byte. */
static void send_bytes(struct hn_decode_chain *c, size_t k)
{
    struct hn_buf *bytes = &c->states[k].made;
    if (bytes->len && hn_utf8_check(bytes->data, bytes->len) == bytes->len) {
        send_token(c, k + 1, bytes->data, bytes->len);
    } else {
        for (size_t i = 0; i < bytes->len; i++)
            send_token(c, k + 1, replacement, 3);
    }
    hn_buf_clear(bytes);
}

static void byte_fallback(struct hn_decode_chain *c, size_t k, struct hn_str token)
{
    int byte = fallback_byte(token);
    if (byte >= 0) {
        hn_buf_add_char(&c->states[k].made, (char)byte);
        return;
    }
    send_bytes(c, k);
    send_token(c, k + 1, token.p, token.n);
}

/* All of `from` in s become `to`, appended to out. */
static void replace_all(struct hn_str s, struct hn_str from, struct hn_str to, struct hn_buf *out)
{
    size_t start = 0;
    for (size_t i = 0; from.n && i + from.n <= s.n;) {
        if (memcmp(s.p + i, from.p, from.n) != 0) {
            i++;
            continue;
        }
        hn_buf_add(out, s.p + start, i - start);
        hn_buf_add(out, to.p, to.n);
        i += from.n;
        start = i;
    }
    hn_buf_add(out, s.p + start, s.n - start);
}

static void replace(struct hn_decode_chain *c, size_t k, struct hn_str s)
{
    const struct hn_decode_step *step = &c->steps[k];
    struct hn_buf *made = &c->states[k].made;
    hn_buf_clear(made);
    if (step->re) {
        struct hn_regex_scan scan;
        size_t first, end, last = 0;
        int rc = hn_regex_begin(&scan, step->re, &c->regex, s, c->err);
        while (rc == 0 && (rc = hn_regex_next(&scan, &first, &end, c->err)) > 0) {
            hn_buf_add(made, s.p + last, first - last);
            hn_buf_add(made, step->text.p, step->text.n);
            last = end;
            rc = 0;
        }
        hn_buf_add(made, s.p + last, s.n - last);
        c->code = c->code ? c->code : rc;
    } else {
        replace_all(s, step->literal, step->text, made);
    }
    send_token(c, k + 1, hn_buf_str(made), made->len);
}

static void metaspace(struct hn_decode_chain *c, size_t k, struct hn_str s)
{
    char mark[4];
    size_t n = (size_t)hn_utf8_put(c->steps[k].cp, mark);
    bool drop = c->steps[k].drop_first && c->states[k].n_tokens == 0;
    struct hn_buf *made = &c->states[k].made;
    hn_buf_clear(made);
    replace_all(s, (struct hn_str){mark, n}, (struct hn_str){" ", drop ? 0 : 1}, made);
    send_token(c, k + 1, hn_buf_str(made), made->len);
}

/* transformers' clean-up of English, in its order. */
static void clean_up(struct hn_buf *s, struct hn_buf *scratch)
{
    static const char *const pairs[][2] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (size_t i = 0; i < HN_COUNT(pairs); i++) {
        hn_buf_clear(scratch);
        replace_all((struct hn_str){hn_buf_str(s), s->len}, hn_str_of(pairs[i][0]),
                    hn_str_of(pairs[i][1]), scratch);
        struct hn_buf swap = *s;
        *s = *scratch;
        *scratch = swap;
    }
}

static void wordpiece(struct hn_decode_chain *c, size_t k, struct hn_str s)
{
    const struct hn_decode_step *step = &c->steps[k];
    struct hn_decode_state *state = &c->states[k];
    hn_buf_clear(&state->made);
    if (state->n_tokens) {
        if (s.n >= step->text.n && memcmp(s.p, step->text.p, step->text.n) == 0)
            s = (struct hn_str){s.p + step->text.n, s.n - step->text.n};
        else
            hn_buf_add_char(&state->made, ' ');
    }
    hn_buf_add(&state->made, s.p, s.n);
    if (step->cleanup)
        clean_up(&state->made, &state->last);
    send_token(c, k + 1, hn_buf_str(&state->made), state->made.len);
}

/* The suffix of all tokens but the last becomes a space: each token waits for the next. */
static void bpe_suffix(struct hn_decode_chain *c, size_t k, bool is_last)
{
    struct hn_decode_state *state = &c->states[k];
    if (!state->any)
        return;
    hn_buf_clear(&state->made);
    replace_all((struct hn_str){hn_buf_str(&state->last), state->last.len}, c->steps[k].text,
                (struct hn_str){" ", is_last ? 0 : 1}, &state->made);
    send_token(c, k + 1, hn_buf_str(&state->made), state->made.len);
}

static void ctc(struct hn_decode_chain *c, size_t k, struct hn_str s)
{
    const struct hn_decode_step *step = &c->steps[k];
    struct hn_decode_state *state = &c->states[k];
    struct hn_buf scratch = {0};
    if (state->any && hn_str_eq(s, (struct hn_str){hn_buf_str(&state->last), state->last.len}))
        return;
    hn_buf_clear(&state->last);
    hn_buf_add(&state->last, s.p, s.n);
    state->any = true;
    hn_buf_clear(&state->made);
    replace_all(s, step->text, (struct hn_str){"", 0}, &state->made);
    if (step->cleanup) {
        clean_up(&state->made, &scratch);
        hn_buf_clear(&scratch);
        replace_all((struct hn_str){hn_buf_str(&state->made), state->made.len}, step->literal,
                    (struct hn_str){" ", 1}, &scratch);
        send_token(c, k + 1, hn_buf_str(&scratch), scratch.len);
        c->code = c->code ? c->code : scratch.failed ? hn_fail_memory(c->err, "decoding") : 0;
    } else if (state->made.len) {
        send_token(c, k + 1, hn_buf_str(&state->made), state->made.len);
    }
    hn_buf_release(&scratch);
}

/* Cut up to `start` characters at the front as they come, and hold back what may have to be cut at
 * the end: up to `stop` trailing ones. */
static void strip_part(struct hn_decode_chain *c, size_t k, bool at_end)
{
    const struct hn_decode_step *step = &c->steps[k];
    struct hn_decode_state *state = &c->states[k];
    struct hn_buf *held = &state->held;
    char mark[4];
    size_t n = (size_t)hn_utf8_put(step->cp, mark), first = 0, end = held->len;
    const char *s = hn_buf_str(held);
    while (!state->past_start && state->n_cut < step->start && first < held->len) {
        size_t left = held->len - first;
        state->past_start = memcmp(s + first, mark, HN_MIN(left, n)) != 0;
        if (state->past_start || left < n)
            break;
        first += n;
        state->n_cut++;
    }
    state->past_start |= state->n_cut >= step->start;
    if (!state->past_start && !at_end && held->len - first < n)
        end = first;
    else
        for (size_t i = 0; i < step->stop && end - first >= n; i++) {
            if (memcmp(s + end - n, mark, n) != 0)
                break;
            end -= n;
        }
    send(c, k + 1, s + first, end - first);
    if (held->data) {
        memmove(held->data, held->data + end, held->len - end);
        held->len -= end;
    }
    if (at_end) {
        hn_buf_clear(held);
        state->n_cut = 0;
        state->past_start = false;
        send_end(c, k + 1);
    }
}

static void join(struct hn_decode_chain *c, size_t k, struct hn_str s)
{
    if (c->states[k].n_tokens)
        send(c, k + 1, " ", 1);
    send(c, k + 1, s.p, s.n);
}

static void send(struct hn_decode_chain *c, size_t k, const char *p, size_t n)
{
    if (k == c->n_steps) {
        hn_buf_add(&c->out, p, n);
        return;
    }
    switch (c->steps[k].kind) {
    case HN_DECODE_FUSE:
        send(c, k + 1, p, n);
        break;
    case HN_DECODE_STRIP:
        hn_buf_add(&c->states[k].held, p, n);
        strip_part(c, k, false);
        break;
    default:
        hn_buf_add(&c->states[k].held, p, n);
    }
}

static void send_end(struct hn_decode_chain *c, size_t k)
{
    if (k == c->n_steps)
        return;
    struct hn_decode_state *state = &c->states[k];
    struct hn_str token = {hn_buf_str(&state->held), state->held.len};
    switch (c->steps[k].kind) {
    case HN_DECODE_FUSE:
        return;
    case HN_DECODE_STRIP:
        strip_part(c, k, true);
        return;
    case HN_DECODE_BYTE_LEVEL:
        /* held: bytes of an unfinished character, then this token */
        hn_buf_clear(&state->made);
        hn_buf_add(&state->made, token.p + state->n_cut, token.n - state->n_cut);
        state->held.len = state->n_cut;
        byte_level_token((struct hn_str){hn_buf_str(&state->made), state->made.len}, &state->held);
        send_lossy(c, k, false);
        state->n_cut = state->held.len;
        return;
    case HN_DECODE_BYTE_FALLBACK:
        byte_fallback(c, k, token);
        break;
    case HN_DECODE_REPLACE:
        replace(c, k, token);
        break;
    case HN_DECODE_METASPACE:
        metaspace(c, k, token);
        break;
    case HN_DECODE_WORDPIECE:
        wordpiece(c, k, token);
        break;
    case HN_DECODE_BPE:
        bpe_suffix(c, k, false);
        hn_buf_clear(&state->last);
        hn_buf_add(&state->last, token.p, token.n);
        state->any = true;
        break;
    case HN_DECODE_CTC:
        ctc(c, k, token);
        break;
    case HN_DECODE_JOIN:
        join(c, k, token);
        break;
    }
    hn_buf_clear(&state->held);
    state->n_tokens++;
}

static void send_finish(struct hn_decode_chain *c, size_t k)
{
    if (k == c->n_steps)
        return;
    switch (c->steps[k].kind) {
    case HN_DECODE_BYTE_LEVEL:
        send_lossy(c, k, true);
        send_end(c, k + 1);
        break;
    case HN_DECODE_FUSE:
        send_end(c, k + 1);
        break;
    case HN_DECODE_BYTE_FALLBACK:
        send_bytes(c, k);
        break;
    case HN_DECODE_BPE:
        bpe_suffix(c, k, true);
        break;
    default:
        break;
    }
    send_finish(c, k + 1);
}

void hn_decode_begin(struct hn_decode_chain *c, const struct hn_decode_step *steps, size_t n_steps)
{
    HN_ASSERT(n_steps <= HN_DECODE_MAX_STEPS);
    c->steps = steps;
    c->n_steps = n_steps;
}

void hn_decode_release(struct hn_decode_chain *c)
{
    for (size_t k = 0; k < c->n_steps; k++) {
        hn_buf_release(&c->states[k].held);
        hn_buf_release(&c->states[k].made);
        hn_buf_release(&c->states[k].last);
    }
    hn_buf_release(&c->out);
    hn_regex_work_release(&c->regex);
    *c = (struct hn_decode_chain){0};
}

static int result(struct hn_decode_chain *c, struct hone_err *err)
{
    bool failed = c->out.failed;
    for (size_t k = 0; k < c->n_steps; k++)
        failed |= c->states[k].held.failed || c->states[k].made.failed || c->states[k].last.failed;
    if (!c->code && failed)
        c->code = hn_fail_memory(err, "decoding");
    return c->code;
}

int hn_decode_token(struct hn_decode_chain *c, struct hn_str token, struct hone_err *err)
{
    c->err = err;
    send_token(c, 0, token.p, token.n);
    return result(c, err);
}

int hn_decode_finish(struct hn_decode_chain *c, struct hone_err *err)
{
    c->err = err;
    send_finish(c, 0);
    return result(c, err);
}

void hn_decode_step_release(struct hn_decode_step *step)
{
    hn_regex_close(&step->re);
}
