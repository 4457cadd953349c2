#include "cli/ui.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/os.h"
#include "base/str.h"

static int terminal_width(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    const char *columns = getenv("COLUMNS");
    long n = columns ? strtol(columns, NULL, 10) : 0;
    return n >= 20 && n <= 1000 ? (int)n : 80;
}

void hn_ui_init(struct hn_ui *ui, FILE *out)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    int fd = fileno(out);
    *ui = (struct hn_ui){.out = out, .terminal = isatty(fd) != 0, .width = terminal_width(fd)};
    ui->colour = ui->terminal && !(none && *none) && !(term && strcmp(term, "dumb") == 0);
}

const char *hn_ui_style(const struct hn_ui *ui, enum hn_style style)
{
    static const char *const codes[] = {"\33[0m",  "\33[1m",  "\33[2m", "\33[32m",
                                        "\33[33m", "\33[31m", "\33[36m"};
    return ui->colour ? codes[style] : "";
}

void hn_ui_clear(struct hn_ui *ui)
{
    if (ui->line)
        fputs("\r\33[K", ui->out);
    ui->line = false;
}

void hn_ui_say(struct hn_ui *ui, enum hn_style style, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    hn_ui_clear(ui);
    fputs(style == HN_PLAIN ? "" : hn_ui_style(ui, style), ui->out);
    vfprintf(ui->out, fmt, args);
    fputs(style == HN_PLAIN ? "" : hn_ui_style(ui, HN_PLAIN), ui->out);
    fputc('\n', ui->out);
    fflush(ui->out);
    va_end(args);
}

/* Eighths of a cell make the bar move evenly. */
static void put_bar(struct hn_buf *out, double fraction, int cells)
{
    static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int eighths = (int)(HN_MAX(0.0, HN_MIN(fraction, 1.0)) * cells * 8);
    for (int i = 0; i < eighths / 8; i++)
        hn_buf_add_str(out, "█");
    hn_buf_add_str(out, parts[eighths % 8]);
    for (int i = (eighths + 7) / 8; i < cells; i++)
        hn_buf_add_char(out, ' ');
}

void hn_ui_progress(struct hn_ui *ui, double fraction, bool now, const char *fmt, ...)
{
    double time = hn_now();
    if (!ui->terminal || (!now && time - ui->drawn < 0.1))
        return;
    ui->drawn = time;
    ui->width = terminal_width(fileno(ui->out));
    int cells = ui->width >= 100 ? 24 : ui->width >= 70 ? 16 : 8, columns;
    char text[512];
    struct hn_buf line = {0};
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    columns = (int)hn_columns(text, strlen(text));
    while (cells > 4 && cells + 8 + columns > ui->width) /* the text is worth more than the bar */
        cells -= 4;
    hn_buf_printf(&line, "\r\33[K%3d%% %s", (int)(fraction * 100), hn_ui_style(ui, HN_GREEN));
    put_bar(&line, fraction, cells);
    hn_buf_printf(&line, "%s│ ", hn_ui_style(ui, HN_PLAIN));
    hn_ui_cut(&line, text, (size_t)HN_MAX(ui->width - cells - 8, 1));
    fputs(hn_buf_str(&line), ui->out);
    fflush(ui->out);
    hn_buf_release(&line);
    ui->line = true;
}

/* ---- numbers ----------------------------------------------------------------------------------
 */

const char *hn_ui_bytes(uint64_t bytes, char out[HN_UI_TEXT])
{
    if (bytes < 1000)
        snprintf(out, HN_UI_TEXT, "%d B", (int)bytes);
    else if (bytes < 1000000)
        snprintf(out, HN_UI_TEXT, "%.1f kB", (double)bytes / 1e3);
    else if (bytes < 1000000000)
        snprintf(out, HN_UI_TEXT, "%.1f MB", (double)bytes / 1e6);
    else
        snprintf(out, HN_UI_TEXT, "%.2f GB", (double)bytes / 1e9);
    return out;
}

const char *hn_ui_count(uint64_t n, char out[HN_UI_TEXT])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
    return out;
}

const char *hn_ui_short(uint64_t n, char out[HN_UI_TEXT])
{
    double v = (double)n;
    if (n < 10000)
        return hn_ui_count(n, out);
    if (n < 1000000)
        snprintf(out, HN_UI_TEXT, "%.1fk", v / 1e3);
    else if (n < 1000000000)
        snprintf(out, HN_UI_TEXT, "%.1fM", v / 1e6);
    else
        snprintf(out, HN_UI_TEXT, "%.2fB", v / 1e9);
    return out;
}

const char *hn_ui_time(double seconds, char out[HN_UI_TEXT])
{
    if (!(seconds >= 0) || seconds > 1e8) {
        snprintf(out, HN_UI_TEXT, "?");
        return out;
    }
    long s = lround(seconds);
    if (s < 3600)
        snprintf(out, HN_UI_TEXT, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(out, HN_UI_TEXT, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    return out;
}

const char *hn_ui_weights(const char *quantization, char out[HN_UI_WEIGHTS])
{
    bool plain = hn_starts_with(quantization, "none (");
    int n = (int)strlen(quantization) - (plain ? 7 : 0);
    snprintf(out, HN_UI_WEIGHTS, "%.*s", n, quantization + (plain ? 6 : 0));
    return out;
}

/* ---- text -------------------------------------------------------------------------------------
 */

const char *hn_ui_str(const struct hn_buf *b)
{
    return b->failed ? "(out of memory)" : hn_buf_str(b);
}

void hn_ui_cut(struct hn_buf *out, const char *s, size_t width)
{
    size_t columns = 0, n = strlen(s);
    bool fits = hn_columns(s, n) <= width;
    for (size_t i = 0; i < n;) {
        size_t at = i;
        int32_t c = hn_utf8_next(s, n, &i);
        size_t w = hn_columns(s + at, i - at);
        if (!fits && columns + w + 1 > width) {
            hn_buf_add_str(out, "…");
            return;
        }
        columns += w;
        if (c < 0)
            hn_buf_add_str(out, "�");
        else if (c < 32 || c == 127)
            hn_buf_add_char(out, ' ');
        else
            hn_buf_add(out, s + at, i - at);
    }
}

void hn_ui_wrap(struct hn_buf *out, const char *s, size_t indent, size_t width)
{
    struct hn_buf line = {0};
    hn_ui_cut(&line, s, SIZE_MAX);
    if (line.len > strspn(hn_buf_str(&line), " ")) {
        hn_buf_printf(out, "%*s", (int)indent, "");
        hn_buf_wrap(out, hn_buf_str(&line), indent, width);
        hn_buf_add_char(out, '\n');
    }
    hn_buf_release(&line);
}
