/* Reductions along axes (sum, mean, prod, max, min) and argmax.
 *
 * out has the rank of in and dims of 1 where an axis is reduced. The dims are sorted by their
 * stride, merged where possible and split into reduced and kept ones; then there are two inner
 * loops: along a row (the innermost dim is reduced) and down many columns at once (it is kept).
 */
#include <limits.h>
#include <math.h>

#include "kernel.h"

enum {
  FOLD_LANES = 32,           /* accumulators along a contiguous row */
  FOLD_BLOCK = GP_SUM_BLOCK, /* elements summed by them before halves are paired */
  FOLD_ROWS = 32,            /* rows added one by one down a column */
  FOLD_WIDTH = 128,          /* columns at once */
  FOLD_SIDE = 16,            /* of them side by side in registers */
  FOLD_DEPTH = 4             /* a long row is cut into 2^4 tasks */
};
_Static_assert(1 << FOLD_DEPTH <= MAX_TASKS, "a task for every leaf");

typedef struct {
  int64_t n, step, out_step; /* extent; strides in elements; out_step is 0 on a reduced dim */
} fold_dim;

typedef struct {
  int n_kept, n_reduced;
  bool empty;   /* nothing to combine */
  bool columns; /* `col` is walked side by side; else it is one element wide */
  int64_t n_in, n_out;
  fold_dim kept[GP_MAX_RANK], reduced[GP_MAX_RANK], col;
} fold_shape;

typedef struct {
  int64_t start, n;
} fold_leaf;

#define FOLD sum_f32
#define T float
#define INIT 0
#define STEP x + y
#include "fold.h"
#define FOLD sum_f64
#define T double
#define INIT 0
#define STEP x + y
#include "fold.h"
#define FOLD sum_i32 /* unsigned: wraps */
#define T uint32_t
#define INIT 0
#define STEP x + y
#include "fold.h"
#define FOLD sum_i64
#define T uint64_t
#define INIT 0
#define STEP x + y
#include "fold.h"

#define FOLD prod_f32
#define T float
#define INIT 1
#define STEP x *y
#include "fold.h"
#define FOLD prod_f64
#define T double
#define INIT 1
#define STEP x *y
#include "fold.h"
#define FOLD prod_i32
#define T uint32_t
#define INIT 1
#define STEP x *y
#include "fold.h"
#define FOLD prod_i64
#define T uint64_t
#define INIT 1
#define STEP x *y
#include "fold.h"

#define FOLD max_f32
#define T float
#define INIT -INFINITY
#define STEP x > y || x != x ? x : y
#include "fold.h"
#define FOLD max_f64
#define T double
#define INIT -INFINITY
#define STEP x > y || x != x ? x : y
#include "fold.h"
#define FOLD max_i32
#define T int32_t
#define INIT INT32_MIN
#define STEP x > y ? x : y
#include "fold.h"
#define FOLD max_i64
#define T int64_t
#define INIT INT64_MIN
#define STEP x > y ? x : y
#include "fold.h"

#define FOLD min_f32
#define T float
#define INIT INFINITY
#define STEP x < y || x != x ? x : y
#include "fold.h"
#define FOLD min_f64
#define T double
#define INIT INFINITY
#define STEP x < y || x != x ? x : y
#include "fold.h"
#define FOLD min_i32
#define T int32_t
#define INIT INT32_MAX
#define STEP x < y ? x : y
#include "fold.h"
#define FOLD min_i64
#define T int64_t
#define INIT INT64_MAX
#define STEP x < y ? x : y
#include "fold.h"

/* Whether inner continues outer in both arrays, so that the two are one dim. */
static bool continues(const fold_dim *outer, const fold_dim *inner) {
  return (outer->out_step == 0) == (inner->out_step == 0) &&
         outer->step == inner->step * inner->n && outer->out_step == inner->out_step * inner->n;
}

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

static fold_shape fold_plan(const gp_buf *out, const gp_buf *in) {
  fold_shape s = {.n_in = count(in), .n_out = count(out), .col = {1, 0, 0}};
  s.empty = s.n_in == 0;
  fold_dim dims[GP_MAX_RANK];
  int n = 0;
  for (int i = 0; i < in->rank; i++) { /* insertion sort, widest stride first */
    const bool reduced = out->dims[i] != in->dims[i];
    const fold_dim d = {in->dims[i], in->strides[i], reduced ? 0 : out->strides[i]};
    int j = n++;
    if (d.n == 1) {
      n--;
      continue;
    }
    for (; j > 0 && magnitude(dims[j - 1].step) < magnitude(d.step); j--) dims[j] = dims[j - 1];
    dims[j] = d;
  }
  int m = 0;
  for (int i = 0; i < n; i++) {
    if (m && continues(&dims[m - 1], &dims[i])) {
      dims[i].n *= dims[m - 1].n;
      m--;
    }
    dims[m++] = dims[i];
  }
  for (int i = 0; i < m; i++) {
    if (dims[i].out_step)
      s.kept[s.n_kept++] = dims[i];
    else
      s.reduced[s.n_reduced++] = dims[i];
  }
  /* Columns if the innermost dim is kept, or reduced but too short to be worth a row. */
  if (s.n_kept && (dims[m - 1].out_step || dims[m - 1].n < 8)) {
    s.columns = true;
    s.col = s.kept[--s.n_kept];
  }
  if (s.n_reduced == 0) s.reduced[s.n_reduced++] = (fold_dim){1, 0, 0};
  return s;
}

typedef void (*fold_fn)(int threads, const fold_shape *, const void *, void *);
#define FOLD_TABLE(op)                                                                    \
  static const fold_fn fold_##op[GP_NDTYPES] = {[GP_I32] = fold_##op##_i32,               \
                                                [GP_I64] = fold_##op##_i64,               \
                                                [GP_F32] = fold_##op##_f32,               \
                                                [GP_F64] = fold_##op##_f64};              \
  static int reduce_##op##_kernel(gp_run *run, const gp_insn *insn) {                     \
    const gp_buf *out = arg_buf(run->plan, insn, 0), *in = arg_buf(run->plan, insn, 1);   \
    const fold_shape s = fold_plan(out, in);                                              \
    fold_##op[in->dtype](run->threads, &s, arg_ptr(run, insn, 1), arg_ptr(run, insn, 0)); \
    return GP_OK;                                                                         \
  }
FOLD_TABLE(sum)
FOLD_TABLE(prod)
FOLD_TABLE(max)
FOLD_TABLE(min)

/* The mean of nothing is NaN, or 0 for integers, which divide towards zero (TensorFlow 1). */
#define DIVIDE(type, wide)                                                               \
  for (int64_t i = 0; i < n_out; i++) ((type *)p)[i] = (type)(((type *)p)[i] / (wide)n); \
  break;
static int reduce_mean_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0), *in = arg_buf(run->plan, insn, 1);
  const int64_t n_out = count(out);
  void *p = arg_ptr(run, insn, 0);
  reduce_sum_kernel(run, insn);
  if (n_out == 0) return GP_OK;
  int64_t n = count(in) / n_out;
  if (n == 0 && is_index(out)) n = 1;
  switch (out->dtype) {
    case GP_I32:
      DIVIDE(int32_t, int64_t)
    case GP_I64:
      DIVIDE(int64_t, int64_t)
    case GP_F32:
      DIVIDE(float, float)
    case GP_F64:
      DIVIDE(double, double)
  }
  return GP_OK;
}

static const char *reduce_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 1, 0);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *in = arg_buf(plan, insn, 1);
  if (out->dtype != in->dtype || !is_number(in)) return "wrong dtype";
  if (out->rank != in->rank) return "shapes disagree";
  for (int i = 0; i < in->rank; i++)
    if (out->dims[i] != in->dims[i] && out->dims[i] != 1) return "shapes disagree";
  return is_contiguous(out) ? NULL : "an argument is not contiguous";
}

/* ---- argmax ---- */

enum { ARGMAX_LANES = 32 };

/* The first of the largest; a NaN counts as larger than anything. Of a long row the largest is
 * found first, side by side, and then where it is: neither loop has a branch. */
#define ARGMAX(type)                                                            \
  static int64_t argmax_##type(const void *in, int64_t n, int64_t step) {       \
    const t_##type *p = in;                                                     \
    t_##type best = p[0];                                                       \
    int64_t i = 1, at = 0;                                                      \
    if (step == 1 && n >= 2 * ARGMAX_LANES) {                                   \
      t_##type top[ARGMAX_LANES], odd[ARGMAX_LANES];                            \
      for (int j = 0; j < ARGMAX_LANES; j++) top[j] = p[j], odd[j] = 0;         \
      for (i = 0; i + ARGMAX_LANES <= n; i += ARGMAX_LANES)                     \
        for (int j = 0; j < ARGMAX_LANES; j++) {                                \
          const t_##type x = p[i + j];                                          \
          top[j] = x > top[j] ? x : top[j];                                     \
          odd[j] = x == x ? odd[j] : 1;                                         \
        }                                                                       \
      bool nan = false;                                                         \
      for (int j = 0; j < ARGMAX_LANES; j++) {                                  \
        nan |= odd[j] != 0;                                                     \
        best = top[j] > best ? top[j] : best;                                   \
      }                                                                         \
      const int64_t whole = i;                                                  \
      for (i = 0; i + ARGMAX_LANES < whole; i += ARGMAX_LANES) {                \
        int here = 0;                                                           \
        for (int j = 0; j < ARGMAX_LANES; j++)                                  \
          here |= nan ? p[i + j] != p[i + j] : p[i + j] == best;                \
        if (here) break;                                                        \
      }                                                                         \
      const int64_t last = i + ARGMAX_LANES - 1; /* of the block that has it */ \
      for (at = i; at < last && (nan ? p[at] == p[at] : p[at] != best);) at++;  \
      best = p[at];                                                             \
      i = whole;                                                                \
    }                                                                           \
    for (; i < n; i++) {                                                        \
      const t_##type x = p[i * step];                                           \
      const bool more = !(x <= best) & (best == best);                          \
      best = more ? x : best;                                                   \
      at = more ? i : at;                                                       \
    }                                                                           \
    return at;                                                                  \
  }
ARGMAX(i32)
ARGMAX(i64)
ARGMAX(f32)
ARGMAX(f64)

static int argmax_kernel(gp_run *run, const gp_insn *insn) {
  static int64_t (*const argmax[GP_NDTYPES])(const void *, int64_t, int64_t) = {
      [GP_I32] = argmax_i32, [GP_I64] = argmax_i64, [GP_F32] = argmax_f32, [GP_F64] = argmax_f64};
  const gp_buf *out = arg_buf(run->plan, insn, 0), *in = arg_buf(run->plan, insn, 1);
  const int64_t n_out = count(out), size = gp_itemsize(in->dtype);
  const char *p = arg_ptr(run, insn, 1);
  void *q = arg_ptr(run, insn, 0);
  int64_t n = 1, step = 0, at[GP_MAX_RANK] = {0}, offset = 0;
  for (int i = 0; i < in->rank; i++)
    if (in->dims[i] != out->dims[i]) n = in->dims[i], step = in->strides[i];
  for (int64_t i = 0; i < n_out; i++) {
    const int64_t best = argmax[in->dtype](p + offset * size, n, step);
    if (out->dtype == GP_I32)
      ((int32_t *)q)[i] = (int32_t)best;
    else
      ((int64_t *)q)[i] = best;
    for (int d = in->rank - 1; d >= 0; d--) {
      offset += in->strides[d];
      if (++at[d] < out->dims[d]) break;
      offset -= at[d] * in->strides[d];
      at[d] = 0;
    }
  }
  return GP_OK;
}

static const char *argmax_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 1, 0);
  int reduced = 0;
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *in = arg_buf(plan, insn, 1);
  if (!is_index(out) || !is_number(in)) return "wrong dtype";
  if (out->rank != in->rank) return "shapes disagree";
  for (int i = 0; i < in->rank; i++) {
    if (out->dims[i] == in->dims[i]) continue;
    if (out->dims[i] != 1 || reduced++) return "argmax reduces exactly one axis";
    if (in->dims[i] == 0 && count(out) > 0) return "argmax of an empty axis";
    if (in->dims[i] > INT32_MAX && out->dtype == GP_I32) return "the axis is too long for int32";
  }
  return is_contiguous(out) ? NULL : "an argument is not contiguous";
}
