/* Running sums, products and linear recurrences along an axis.
 *
 *   scan   out[m, n, k], in[m, n, k] and, of a recurrence, coefficients x[m, n, k]
 *          attrs what (enum scan_kind), exclusive, reverse
 *
 * With i after p in the direction of the walk,
 *
 *   out_i = out_p + in_i   or   out_p * in_i       inclusive
 *   out_i = out_p + in_p   or   out_p * in_p       exclusive; the first is 0 or 1
 *   out_i = in_p + x_p * out_p                     recurrence, always exclusive; the first is 0
 *
 * which is one addition or product after the other: the bits do not depend on anything else.
 */
#include "kernel.h"

enum scan_kind { SCAN_SUM, SCAN_PROD, SCAN_RECUR };
enum { SCAN_WIDTH = 512 }; /* columns walked side by side: the row before is still in L1 */

typedef struct {
  int64_t n, k; /* steps, and elements from one to the next */
  bool exclusive, reverse;
} scan_shape;

/* w columns of one of the m matrices. */
typedef void (*scan_fn)(const scan_shape *s, const void *in, const void *x, void *out, int64_t w);

/* `type` has the size of the element and wraps. */
#define SCAN(name, type, init, step)                                                     \
  static void scan_##name(const scan_shape *s, const void *in, const void *x, void *out, \
                          int64_t w) {                                                   \
    const int64_t ahead = s->reverse ? -s->k : s->k;                                     \
    int64_t at = s->reverse ? (s->n - 1) * s->k : 0;                                     \
    type *q = out;                                                                       \
    if (w == 1) {                                                                        \
      type acc = init;                                                                   \
      for (int64_t i = 0; i < s->n; i++, at += ahead) {                                  \
        const type before = acc, v = ((const type *)in)[at];                             \
        const type c = x ? ((const type *)x)[at] : v;                                    \
        (void)c;                                                                         \
        acc = (type)(step);                                                              \
        q[at] = s->exclusive ? before : acc;                                             \
      }                                                                                  \
      return;                                                                            \
    }                                                                                    \
    for (int64_t i = 0; i < s->n; i++, at += ahead) {                                    \
      const int64_t from = s->exclusive ? at - ahead : at;                               \
      const type *a = (const type *)in + (i || !s->exclusive ? from : at);               \
      const type *b = x ? (const type *)x + (i ? from : at) : a;                         \
      type *row = q + at;                                                                \
      const type *last = i ? row - ahead : row;                                          \
      if (i == 0) {                                                                      \
        for (int64_t j = 0; j < w; j++) row[j] = init;                                   \
        if (s->exclusive) continue;                                                      \
      }                                                                                  \
      for (int64_t j = 0; j < w; j++) {                                                  \
        const type acc = last[j], v = a[j], c = b[j];                                    \
        (void)c;                                                                         \
        row[j] = (type)(step);                                                           \
      }                                                                                  \
    }                                                                                    \
  }
SCAN(sum_8, uint8_t, 0, acc + v)
SCAN(sum_16, uint16_t, 0, acc + v)
SCAN(sum_32, uint32_t, 0, acc + v)
SCAN(sum_64, uint64_t, 0, acc + v)
SCAN(sum_f32, float, 0, acc + v)
SCAN(sum_f64, double, 0, acc + v)
SCAN(prod_8, uint8_t, 1, (uint32_t)acc *v)
SCAN(prod_16, uint16_t, 1, (uint32_t)acc *v)
SCAN(prod_32, uint32_t, 1, acc *v)
SCAN(prod_64, uint64_t, 1, acc *v)
SCAN(prod_f32, float, 1, acc *v)
SCAN(prod_f64, double, 1, acc *v)
SCAN(recur_f32, float, 0, v + c * acc)
SCAN(recur_f64, double, 0, v + c * acc)

static scan_fn scan_of(int64_t kind, int32_t dtype) {
  static const scan_fn table[][GP_NDTYPES] = {
      [SCAN_SUM] = {[GP_U8] = scan_sum_8,
                    [GP_I8] = scan_sum_8,
                    [GP_I16] = scan_sum_16,
                    [GP_I32] = scan_sum_32,
                    [GP_I64] = scan_sum_64,
                    [GP_F32] = scan_sum_f32,
                    [GP_F64] = scan_sum_f64},
      [SCAN_PROD] = {[GP_U8] = scan_prod_8,
                     [GP_I8] = scan_prod_8,
                     [GP_I16] = scan_prod_16,
                     [GP_I32] = scan_prod_32,
                     [GP_I64] = scan_prod_64,
                     [GP_F32] = scan_prod_f32,
                     [GP_F64] = scan_prod_f64},
      [SCAN_RECUR] = {[GP_F32] = scan_recur_f32, [GP_F64] = scan_recur_f64}};
  return kind < 0 || kind > SCAN_RECUR ? NULL : table[kind][dtype];
}

typedef struct {
  scan_fn fn;
  scan_shape s;
  const char *in, *x; /* x may be NULL */
  char *out;
  int64_t size, chunks, items, per_task; /* an item is up to SCAN_WIDTH columns of a matrix */
} scan_job;

static void scan_task(void *ctx, int64_t task) {
  const scan_job *job = ctx;
  const int64_t end = min_i64((task + 1) * job->per_task, job->items);
  for (int64_t item = task * job->per_task; item < end; item++) {
    const int64_t column = item % job->chunks * SCAN_WIDTH;
    const int64_t at = (item / job->chunks * job->s.n * job->s.k + column) * job->size;
    job->fn(&job->s, job->in + at, job->x ? job->x + at : NULL, job->out + at,
            min_i64(SCAN_WIDTH, job->s.k - column));
  }
}

static int scan_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0);
  const int64_t *attrs = run->plan->attrs + insn->attr;
  const int64_t total = count(out);
  if (total == 0) return GP_OK;
  scan_job job = {.fn = scan_of(attrs[0], out->dtype),
                  .s = {out->dims[1], out->dims[2], attrs[1], attrs[2]},
                  .in = arg_ptr(run, insn, 1),
                  .x = insn->n_in == 2 ? arg_ptr(run, insn, 2) : NULL,
                  .out = arg_ptr(run, insn, 0),
                  .size = gp_itemsize(out->dtype),
                  .chunks = (out->dims[2] + SCAN_WIDTH - 1) / SCAN_WIDTH};
  job.items = out->dims[0] * job.chunks;
  job.per_task = total < GP_PARALLEL ? job.items : piece_of(job.items, 1, MAX_TASKS);
  gp_parallel(run->threads, (job.items + job.per_task - 1) / job.per_task, scan_task, &job);
  return GP_OK;
}

static const char *scan_check(const gp_plan *plan, const gp_insn *insn) {
  const int n_in = insn->n_in == 2 ? 2 : 1;
  const char *wrong = check_arity(plan, insn, 1, n_in, 3);
  if (wrong) return wrong;
  const int64_t *attrs = plan->attrs + insn->attr;
  const gp_buf *out = arg_buf(plan, insn, 0);
  if (attrs[0] < 0 || attrs[0] > SCAN_RECUR || (attrs[0] == SCAN_RECUR) != (n_in == 2))
    return "no such scan";
  if ((attrs[1] | attrs[2]) & ~1 || (n_in == 2 && !attrs[1])) return "bad attributes";
  if (!scan_of(attrs[0], out->dtype)) return "wrong dtype";
  if (out->rank != 3) return "three dims are expected";
  for (int i = 0; i <= n_in; i++) {
    const gp_buf *b = arg_buf(plan, insn, i);
    if (b->dtype != out->dtype) return "wrong dtype";
    if (!same_dims(b, out)) return "shapes disagree";
    if (!is_contiguous(b)) return "an argument is not contiguous";
  }
  return NULL;
}
