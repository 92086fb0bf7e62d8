#include "cpu/cpu_matrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/float16.h"
#include "base/little_endian.h"
#include "base/memory.h"
#include "cpu/cpu_codes.h"

enum { ALIGNMENT = 64 };

struct pack_job {
    const struct tensor_view *view;
    const int32_t *row_order;
    struct matrix *matrix;
    size_t row_size; /* bytes of the view's rows */
};

/* Elements of 2 or of 4 bytes each, PANEL_ROWS apart in the panel: memcpy of a size that the
 * compiler knows is one load and one store. */
static void pack_plain(uint8_t *panel, size_t lane, const uint8_t *row, size_t n, size_t size)
{
    if (size == 2) {
        for (size_t k = 0; k < n; k++)
            memcpy(panel + (k * PANEL_ROWS + lane) * 2, row + k * 2, 2);
    } else {
        for (size_t k = 0; k < n; k++)
            memcpy(panel + (k * PANEL_ROWS + lane) * 4, row + k * 4, 4);
    }
}

/* Where a panel's block keeps column k of a lane's bytes: the even columns of four come first. */
static size_t byte_at(size_t lane, size_t k)
{
    return k / 4 * 4 * PANEL_ROWS + lane * 4 + k % 2 * 2 + k % 4 / 2;
}

/* Four columns' bytes at a time: the two in the middle change places. */
static void pack_q8_0(uint8_t *panel, size_t lane, const uint8_t *row, size_t n_blocks)
{
    for (size_t b = 0; b < n_blocks; b++, panel += (size_t)PANEL_ROWS * 34, row += 34) {
        memcpy(panel + 2 * lane, row, 2);
        for (size_t k = 0; k < QUANT_BLOCK; k += 4) {
            const uint32_t q = read_le32(row + 2 + k);

            write_le32(panel + 2 * (size_t)PANEL_ROWS + byte_at(lane, k),
                       (q & 0xFF0000FF) | (q & 0xFF00) << 8 | (q >> 8 & 0xFF00));
        }
    }
}

/* Where a panel's block keeps columns k and k + 2 of a lane, k % 4 < 2: in one byte. */
static size_t nibbles_at(size_t lane, size_t k)
{
    return k / 8 * 4 * PANEL_ROWS + lane * 4 + k % 2 * 2 + k % 8 / 4;
}

/* Columns 0 to 7, each a byte of 4 bits, as a panel has them: pairs (0, 2), (4, 6), (1, 3), (5, 7).
 */
static uint32_t pair_columns(uint64_t columns)
{
    const uint64_t pairs = columns | columns >> 12; /* in bytes 0, 1, 4 and 5 */
    const uint32_t low = (uint32_t)pairs & 0xFFFF, high = (uint32_t)(pairs >> 32) & 0xFFFF;

    return (low & 0xFF) | (high & 0xFF) << 8 | (low & 0xFF00) << 8 | (high & 0xFF00) << 16;
}

/* A file keeps columns j and j + 16 of a 4-bit block in one byte, the first in its low half. */
static void pack_4_bit(uint8_t *panel, size_t lane, const uint8_t *row, size_t n_blocks,
                       size_t n_factors)
{
    const size_t row_bytes = 2 * n_factors + QUANT_BLOCK / 2;
    const uint64_t low_halves = UINT64_C(0x0F0F0F0F0F0F0F0F);

    for (size_t b = 0; b < n_blocks; b++, row += row_bytes) {
        const uint8_t *q = row + 2 * n_factors;

        for (size_t f = 0; f < n_factors; f++, panel += 2 * (size_t)PANEL_ROWS)
            memcpy(panel + 2 * lane, row + 2 * f, 2);
        for (size_t k = 0; k < QUANT_BLOCK / 2; k += 8) {
            const uint64_t bytes = read_le64(q + k);

            write_le32(panel + nibbles_at(lane, k), pair_columns(bytes & low_halves));
            write_le32(panel + nibbles_at(lane, k + QUANT_BLOCK / 2),
                       pair_columns(bytes >> 4 & low_halves));
        }
        panel += QUANT_BLOCK / 2 * (size_t)PANEL_ROWS;
    }
}

/* A file keeps column 2k in the high half of byte k, 2k + 1 in its low half. */
static void pack_nf4(uint8_t *panel, size_t lane, const uint8_t *row, size_t cols)
{
    for (size_t k = 0; k < cols; k += 8, row += 4) {
        uint32_t word = 0;

        for (unsigned j = 0; j < 4; j++)
            word |= (uint32_t)(row[j] >> 4) << 4 * j | (row[j] & 15u) << (16 + 4 * j);
        write_le32(panel + k / 8 * 4 * PANEL_ROWS + 4 * lane, word);
    }
}

/* Row `from` of the view becomes row `to`. */
static void pack_absmax(struct matrix *m, const struct nf4_meaning *nf4, size_t to, size_t from)
{
    float *absmax =
        m->nf4.absmax + to / PANEL_ROWS * (m->cols / m->nf4.run) * PANEL_ROWS + to % PANEL_ROWS;

    for (size_t k = 0; k < m->cols; k += m->nf4.run, absmax += PANEL_ROWS)
        *absmax = nf4->absmax[(from * m->cols + k) / nf4->block];
}

static void pack_panel(void *context, size_t item, int thread)
{
    const struct pack_job *job = context;
    const struct tensor_view *v = job->view;
    uint8_t *panel = job->matrix->data + item * job->matrix->panel_size;
    const size_t n_blocks = v->cols / dtype_block_elements(v->dtype);

    (void)thread;
    if ((item + 1) * PANEL_ROWS > v->rows)
        memset(panel, 0, job->matrix->panel_size);
    for (size_t lane = 0; lane < PANEL_ROWS && item * PANEL_ROWS + lane < v->rows; lane++) {
        const size_t i = item * PANEL_ROWS + lane;
        const size_t from = job->row_order ? (size_t)job->row_order[i] : i;
        const uint8_t *row = v->data + from * job->row_size;

        switch (v->dtype) {
        case DTYPE_Q8_0:
            pack_q8_0(panel, lane, row, n_blocks);
            break;
        case DTYPE_Q4_0:
            pack_4_bit(panel, lane, row, n_blocks, 1);
            break;
        case DTYPE_Q4_1:
            pack_4_bit(panel, lane, row, n_blocks, 2);
            break;
        case DTYPE_NF4:
            pack_nf4(panel, lane, row, v->cols);
            pack_absmax(job->matrix, v->nf4, i, from);
            break;
        case DTYPE_F32:
        case DTYPE_F16:
        case DTYPE_BF16:
            pack_plain(panel, lane, row, v->cols, dtype_block_bytes(v->dtype));
            break;
        default:
            cpu_codes_pack(v->dtype, panel, lane, row, n_blocks);
        }
    }
}

bool cpu_matrix_check_view(const struct tensor_view *view, struct status *status)
{
    const size_t block = dtype_block_elements(view->dtype);
    size_t size;

    if (dtype_block_bytes(view->dtype) == 0)
        return status_fail(status, STATUS_CONFIG, "its type cannot be computed with");
    if (view->rows == 0 || view->cols == 0 || view->cols % block != 0)
        return status_fail(status, STATUS_CONFIG, "%zu rows of %zu columns do not fit type %s",
                           view->rows, view->cols, dtype_name(view->dtype));
    if (!checked_mul(view->cols / block, dtype_block_bytes(view->dtype), &size) ||
        !checked_mul(size, view->rows, &size) || size != view->size)
        return status_fail(status, STATUS_CONFIG, "%zu x %zu of type %s in %zu bytes", view->rows,
                           view->cols, dtype_name(view->dtype), view->size);
    if (view->dtype == DTYPE_NF4 && !view->nf4)
        return status_fail(status, STATUS_CONFIG, "NF4 without its absmax");
    return true;
}

bool cpu_matrix_check_order(const int32_t *row_order, size_t n, struct status *status)
{
    for (size_t i = 0; row_order && i < n; i++) {
        if (row_order[i] < 0 || (size_t)row_order[i] >= n)
            return status_fail(status, STATUS_CONFIG, "row order names row %d of %zu", row_order[i],
                               n);
    }
    return true;
}

size_t cpu_matrix_panel_size(enum dtype dtype, size_t cols)
{
    const struct code_form f = cpu_codes_form(dtype);

    if (f.block > 0)
        return cols / f.block * cpu_codes_block_bytes(f);
    return cols / dtype_block_elements(dtype) * dtype_block_bytes(dtype) * PANEL_ROWS;
}

/* The absmax that pack_panel fills, and what the codes stand for. */
static bool reserve_nf4(struct matrix *m, const struct nf4_meaning *nf4, struct status *status)
{
    const size_t largest = m->cols & (~m->cols + 1); /* power of two that divides cols */
    size_t n;

    m->nf4.run = nf4->block < largest ? nf4->block : largest;
    m->nf4.rounds_to = nf4->rounds_to;
    memcpy(m->nf4.values, nf4->values, sizeof(m->nf4.values));
    for (size_t i = 0; i < NF4_CODES; i++)
        m->nf4.words[i] = (int16_t)lrintf(nf4->values[i] * NF4_WORDS);
    n = m->n_panels * (m->cols / m->nf4.run) * PANEL_ROWS; /* less than the codes */
    m->nf4.absmax = calloc(n, sizeof(float));
    return m->nf4.absmax || status_fail(status, STATUS_MEMORY, "cannot have %zu x 4 bytes", n);
}

struct matrix *cpu_matrix_pack(const struct tensor_view *view, const int32_t *row_order,
                               struct thread_pool *pool, struct status *status)
{
    struct pack_job job = {view, row_order, NULL, 0};
    struct matrix *m;
    void *data = NULL;
    size_t size;

    if (!cpu_matrix_check_view(view, status) ||
        !cpu_matrix_check_order(row_order, view->rows, status))
        return NULL;
    m = memory_zeroed(1, sizeof(*m));
    m->dtype = view->dtype;
    m->rows = view->rows;
    m->cols = view->cols;
    m->n_panels = (view->rows - 1) / PANEL_ROWS + 1;
    m->panel_size = cpu_matrix_panel_size(view->dtype, view->cols);
    job.row_size = view->size / view->rows;
    if (!checked_mul(m->panel_size, m->n_panels, &size) ||
        posix_memalign(&data, ALIGNMENT, size) != 0) {
        free(m);
        status_set(status, STATUS_MEMORY, "cannot have %zu bytes for %zu x %zu weights", view->size,
                   view->rows, view->cols);
        return NULL;
    }
    m->data = data;
    if (view->nf4 && !reserve_nf4(m, view->nf4, status)) {
        cpu_matrix_free(m);
        return NULL;
    }
    job.matrix = m;
    thread_pool_for(pool, m->n_panels, pack_panel, &job);
    return m;
}

void cpu_matrix_free(struct matrix *matrix)
{
    if (!matrix)
        return;
    free(matrix->data);
    free(matrix->scales);
    free(matrix->scale_bytes);
    free(matrix->nf4.absmax);
    free(matrix->pairs);
    free(matrix);
}

/* One column of a lane; `block` points at the panel's bytes of its 32 columns. */
static float quantised(enum dtype dtype, const uint8_t *block, size_t lane, size_t k)
{
    const float d = f16_to_float(read_le16(block + 2 * lane));
    const size_t n_factors = dtype == DTYPE_Q4_1 ? 2 : 1;
    const uint8_t *q = block + 2 * (size_t)PANEL_ROWS * n_factors;
    unsigned nibble;
    float product;

    if (dtype == DTYPE_Q8_0)
        return (float)(int8_t)q[byte_at(lane, k)] * d;
    nibble = (unsigned)q[nibbles_at(lane, k)] >> (k % 4 / 2 * 4) & 15u;
    if (dtype == DTYPE_Q4_0)
        return (float)((int)nibble - 8) * d;
    product = (float)nibble * d;
    return product + f16_to_float(read_le16(block + 2 * (PANEL_ROWS + lane)));
}

static float nf4_value(const struct matrix *m, size_t row, size_t k)
{
    const size_t panel = row / PANEL_ROWS, lane = row % PANEL_ROWS;
    const uint8_t *word = m->data + panel * m->panel_size + k / 8 * 4 * PANEL_ROWS + 4 * lane;
    const unsigned code = read_le32(word) >> (k % 2 * 16 + k % 8 / 2 * 4) & 15u;
    const float y = m->nf4.values[code] * cpu_matrix_absmax(m, panel, k)[lane];

    return m->nf4.rounds_to == DTYPE_F16    ? f16_to_float(float_to_f16(y))
           : m->nf4.rounds_to == DTYPE_BF16 ? bf16_to_float(float_to_bf16(y))
                                            : y;
}

static float plain(enum dtype dtype, const uint8_t *panel, size_t at)
{
    float f;

    switch (dtype) {
    case DTYPE_F16:
        return f16_to_float(read_le16(panel + 2 * at));
    case DTYPE_BF16:
        return bf16_to_float(read_le16(panel + 2 * at));
    default:
        memcpy(&f, panel + 4 * at, sizeof(f));
        return f;
    }
}

void cpu_matrix_row(const struct matrix *matrix, size_t row, size_t first, size_t n, float *y,
                    size_t y_stride)
{
    const uint8_t *panel = matrix->data + row / PANEL_ROWS * matrix->panel_size;
    const size_t lane = row % PANEL_ROWS;
    const size_t block_size = dtype_block_bytes(matrix->dtype) * PANEL_ROWS;

    for (size_t i = 0; i < n; i++) {
        const size_t k = first + i;

        if (matrix->dtype == DTYPE_NF4)
            y[i * y_stride] = nf4_value(matrix, row, k);
        else if (cpu_codes_are(matrix->dtype))
            y[i * y_stride] = cpu_codes_value(matrix, row, k);
        else if (dtype_block_elements(matrix->dtype) == 1)
            y[i * y_stride] = plain(matrix->dtype, panel, k * PANEL_ROWS + lane);
        else
            y[i * y_stride] = quantised(matrix->dtype, panel + k / QUANT_BLOCK * block_size, lane,
                                        k % QUANT_BLOCK);
    }
}
