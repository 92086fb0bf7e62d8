#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/signals.h"
#include "formats/json_write.h"

#define BAR_WIDTH 12          /* so that the line fits 80 columns */
#define TERMINAL_INTERVAL 0.1 /* seconds */
#define LOG_INTERVAL 5.0
#define LOG_WIDTH 200

void progress_start(struct progress *progress, const char *name, bool on)
{
    const bool on_terminal = message_format == MESSAGE_TEXT && isatty(STDERR_FILENO) == 1;

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

/* What this run has done of its input, 0 to 1; negative: not known. */
static double share_of(const struct run_stats *stats)
{
    if (stats->total_size == 0)
        return -1;
    if (stats->position >= stats->total_size)
        return 1;
    return (double)stats->position / (double)stats->total_size;
}

/* Seconds; negative: not known. What an earlier run has done took none of this one's time. */
static double time_left(const struct run_stats *stats, double seconds)
{
    const double done = (double)(stats->position - stats->first_position);

    if (stats->total_size <= stats->position)
        return stats->total_size > 0 ? 0 : -1;
    return done > 0 ? seconds * (double)(stats->total_size - stats->position) / done : -1;
}

static double rate(uint64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

static void format_rates(const struct run_stats *stats, double seconds, struct buf *out)
{
    const double records = rate(stats->n_records - stats->first_record, seconds);

    buf_printf(out, " %" PRIu64 " records", stats->n_records);
    if (seconds > 0)
        buf_printf(out, ", %.*f/s", records < 100 ? 1 : 0, records);
    if (seconds > 0 && stats->n_tokens > 0)
        buf_printf(out, ", %.0f tokens/s", rate(stats->n_tokens, seconds));
    if (stats->n_failed > 0)
        buf_printf(out, ", %" PRIu64 " failed", stats->n_failed);
    if (time_left(stats, seconds) >= 0) {
        buf_append_string(out, ", ETA ");
        format_duration(time_left(stats, seconds), out);
    }
}

void progress_format(const struct run_stats *stats, double seconds, size_t width, struct buf *out)
{
    const double share = share_of(stats);
    const size_t before = out->len;
    struct buf rates = {0};

    format_rates(stats, seconds, &rates);
    if (share >= 0)
        format_bar(share, out);
    if (out->len + rates.len > width) { /* the share alone */
        out->len = before;
        if (share >= 0)
            buf_printf(out, " %d %%", (int)(share * 100));
    }
    buf_append_text(out, buf_text(&rates));
    buf_release(&rates);
    if (out->len > width) {
        out->len = width;
        out->data[width] = '\0';
    }
}

static void write_number(struct buf *out, const char *name, double value)
{
    json_write_name(out, name);
    json_write_double(out, (double)(int64_t)(value * 1e3 + 0.5) / 1e3);
}

static void write_count(struct buf *out, const char *name, uint64_t value)
{
    json_write_name(out, name);
    json_write_uint(out, value);
}

void progress_members(const struct run_stats *stats, double seconds, struct buf *out)
{
    write_count(out, "records", stats->n_records);
    write_count(out, "failed", stats->n_failed);
    write_number(out, "records_per_second", rate(stats->n_records - stats->first_record, seconds));
    if (stats->n_tokens > 0) {
        write_count(out, "tokens", stats->n_tokens);
        write_number(out, "tokens_per_second", rate(stats->n_tokens, seconds));
    }
    if (share_of(stats) >= 0)
        write_number(out, "share", share_of(stats));
    if (time_left(stats, seconds) >= 0)
        write_number(out, "eta_seconds", time_left(stats, seconds));
}

/* Over the line before: spaces hide its rest, so that any terminal will do. */
static void draw_on_terminal(struct progress *progress, const struct buf *line)
{
    const size_t pad = progress->drawn > line->len ? progress->drawn - line->len : 0;

    fprintf(stderr, "\r%s%*s", line->data, (int)pad, "");
    fflush(stderr);
    progress->drawn = line->len;
}

/* A line of its own. */
static void tell(const struct run_stats *stats, double now)
{
    struct buf line = {0}, members = {0};

    progress_format(stats, now - stats->started, LOG_WIDTH, &line);
    progress_members(stats, now - stats->started, &members);
    message_members(&members, (struct text){line.data + 1, line.len - 1});
    buf_release(&line);
    buf_release(&members);
}

static void draw(struct progress *progress, const struct run_stats *stats, double now)
{
    struct buf line = {0};

    progress->last_drawn = now;
    if (progress->on_terminal) {
        buf_printf(&line, "%s:", progress->name);
        progress_format(stats, now - stats->started, terminal_width() - 1, &line);
        draw_on_terminal(progress, &line);
    } else {
        tell(stats, now);
    }
    buf_release(&line);
}

void progress_update(struct progress *progress, const struct run_stats *stats)
{
    const double interval = progress->on_terminal ? TERMINAL_INTERVAL : LOG_INTERVAL;
    const double now = progress->on ? run_stats_now() : 0;

    if (signals_asked()) {
        progress_clear(progress);
        tell(stats, run_stats_now());
    }
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
