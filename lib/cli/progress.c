#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_WIDTH 12          /* so that the line fits 80 columns */
#define TERMINAL_INTERVAL 0.1 /* seconds */
#define LOG_INTERVAL 5.0

void progress_start(struct progress *progress, const char *name, bool on)
{
    const bool on_terminal = isatty(STDERR_FILENO) == 1;

    *progress = (struct progress){
        .name = name,
        .on = on,
        .on_terminal = on_terminal,
        .last_drawn = on_terminal ? 0 : run_stats_now(), /* on a terminal, the first at once */
    };
}

static size_t terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

static void format_bar(double share, struct buf *out)
{
    const int filled = (int)(share * BAR_WIDTH);

    buf_append_string(out, " [");
    for (int i = 0; i < BAR_WIDTH; i++)
        buf_append_char(out, i < filled ? '=' : i == filled ? '>' : ' ');
    buf_printf(out, "] %3d %%", (int)(share * 100));
}

static void format_duration(double seconds, struct buf *out)
{
    const uint64_t s = (uint64_t)(seconds + 0.5);

    if (s >= 3600)
        buf_printf(out, "%" PRIu64 ":%02u:%02u", s / 3600, (unsigned)(s / 60 % 60),
                   (unsigned)(s % 60));
    else
        buf_printf(out, "%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
}

void progress_format(const struct progress *progress, const struct run_stats *stats, double seconds,
                     size_t width, struct buf *out)
{
    const bool known = stats->total_size > 0;
    const double share = !known ? 0
                         : stats->position >= stats->total_size
                             ? 1
                             : (double)stats->position / (double)stats->total_size;

    buf_printf(out, "%s:", progress->name);
    if (known)
        format_bar(share, out);
    buf_printf(out, " %" PRIu64 " records", stats->n_records);
    if (seconds > 0) {
        const double rate = (double)stats->n_records / seconds;

        buf_printf(out, ", %.*f/s", rate < 100 ? 1 : 0, rate);
    }
    if (stats->n_failed > 0)
        buf_printf(out, ", %" PRIu64 " failed", stats->n_failed);
    if (known && share > 0) {
        buf_append_string(out, ", ETA ");
        format_duration(seconds * (1 - share) / share, out);
    }
    if (out->len > width) {
        out->len = width;
        out->data[width] = '\0';
    }
}

/* Over the line before: spaces hide its rest, so that any terminal will do. */
static void draw_on_terminal(struct progress *progress, const struct buf *line)
{
    const size_t pad = progress->drawn > line->len ? progress->drawn - line->len : 0;

    fprintf(stderr, "\r%s%*s", line->data, (int)pad, "");
    fflush(stderr);
    progress->drawn = line->len;
}

static void draw(struct progress *progress, const struct run_stats *stats, double now)
{
    struct buf line = {0};

    progress->last_drawn = now;
    progress_format(progress, stats, now - stats->started,
                    progress->on_terminal ? terminal_width() - 1 : 200, &line);
    if (progress->on_terminal)
        draw_on_terminal(progress, &line);
    else
        fprintf(stderr, "%s\n", line.data);
    buf_release(&line);
}

void progress_update(struct progress *progress, const struct run_stats *stats)
{
    const double interval = progress->on_terminal ? TERMINAL_INTERVAL : LOG_INTERVAL;
    const double now = progress->on ? run_stats_now() : 0;

    if (progress->on && now - progress->last_drawn >= interval)
        draw(progress, stats, now);
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn > 0) {
        fprintf(stderr, "\r%*s\r", (int)progress->drawn, "");
        fflush(stderr);
    }
    progress->drawn = 0;
}

void progress_end(struct progress *progress, const struct run_stats *stats)
{
    progress_clear(progress);
    if (progress->on && !progress->on_terminal)
        draw(progress, stats, run_stats_now());
    progress->on = false;
}
