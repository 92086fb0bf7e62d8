#include "run/length_counts.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "formats/json_write.h"

static void make_room(struct length_counts *c, size_t n)
{
    size_t room = c->n_bins > 0 ? c->n_bins : 64;

    if (n <= c->n_bins)
        return;
    while (room < n)
        room *= 2;
    c->bins = memory_resize(c->bins, room, sizeof(*c->bins));
    memset(c->bins + c->n_bins, 0, (room - c->n_bins) * sizeof(*c->bins));
    c->n_bins = room;
}

void length_counts_add(struct length_counts *c, size_t length)
{
    const size_t bin = length < LENGTH_COUNTS_MAX ? length : LENGTH_COUNTS_MAX;

    make_room(c, bin + 1);
    c->bins[bin]++;
    c->n++;
    c->sum += length;
    c->greatest = length > c->greatest ? length : c->greatest;
}

/* The bin in which the rank-th record is, from 1. */
static size_t bin_of(const struct length_counts *c, uint64_t rank)
{
    uint64_t seen = c->bins[0];
    size_t bin = 0;

    while (seen < rank)
        seen += c->bins[++bin];
    return bin;
}

size_t length_counts_percentile(const struct length_counts *c, int percent)
{
    const uint64_t share = (uint64_t)percent;

    /* n * percent / 100, rounded up, without overflow */
    return bin_of(c, c->n / 100 * share + (c->n % 100 * share + 99) / 100);
}

static void write_number(struct buf *out, const char *name, uint64_t value)
{
    json_write_name(out, name);
    json_write_uint(out, value);
}

static void write_histogram(const struct length_counts *c, struct buf *out)
{
    size_t bin = 0;

    json_write_name(out, "histogram");
    buf_append_char(out, '[');
    for (size_t to = 16; bin <= c->greatest && bin < c->n_bins; to *= 2) {
        uint64_t n = 0;

        for (; bin <= to && bin < c->n_bins; bin++)
            n += c->bins[bin];
        json_write_comma(out);
        buf_append_char(out, '{');
        write_number(out, "to", to);
        write_number(out, "records", n);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

void length_counts_write(const struct length_counts *c, struct buf *out)
{
    buf_append_char(out, '{');
    write_number(out, "total", c->sum);
    if (c->n > 0) {
        write_number(out, "least", bin_of(c, 1));
        write_number(out, "p50", length_counts_percentile(c, 50));
        write_number(out, "p90", length_counts_percentile(c, 90));
        write_number(out, "p99", length_counts_percentile(c, 99));
        write_number(out, "greatest", c->greatest);
        write_histogram(c, out);
    }
    buf_append_char(out, '}');
}

void length_counts_release(struct length_counts *c)
{
    free(c->bins);
    *c = (struct length_counts){0};
}
