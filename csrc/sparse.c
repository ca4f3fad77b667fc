/* Products and sums of sparse tensors, given by the indices [nnz, rank] and the values of what is
 * not zero:
 *
 *   sparse_matmul    outs y[m, n]         ins indices[nnz, 2], values[nnz], b[k, n]
 *                    attr: 1 if the matrix is to be transposed
 *   sparse_dots      outs y[nnz]          ins indices[nnz, 2], a[m, n], b[k, n]
 *                    y[e] is the product of row i of a and row j of b, for the indices (i, j) of e
 *   sparse_add       outs y[dims, slice]  ins indices[nnz, r], values[nnz, slice]
 *                    y += values, where y holds something already
 *   sparse_softmax   outs y[nnz]          ins indices[nnz, r], values[nnz]
 *                    over entries that differ in their last index alone; they must be in order
 *
 * Every element of a result is summed in the order of the entries, however the work is cut.
 */
#include <math.h>

#include "index.h"
#include "kernel.h"

typedef struct {
  const void *indices;
  bool wide;
  int64_t nnz, r;
  int64_t m, n, step;
  int column; /* of the row numbers */
  const char *values, *a, *b;
  char *y;
} sparse_job;

static sparse_job sparse_job_of(const gp_run *run, const gp_insn *insn) {
  const gp_buf *indices = arg_buf(run->plan, insn, 1);
  return (sparse_job){.indices = arg_ptr(run, insn, 1),
                      .wide = indices->dtype == GP_I64,
                      .nnz = indices->dims[0],
                      .r = indices->dims[1],
                      .y = arg_ptr(run, insn, 0)};
}

/* All indices are inside of these dims, or the run fails. */
static int check_indices(gp_run *run, const sparse_job *job, const int64_t *dims) {
  for (int64_t e = 0; e < job->nnz; e++)
    for (int64_t c = 0; c < job->r; c++) {
      const int64_t i = index_at(job->indices, job->wide, e * job->r + c);
      if ((uint64_t)i >= (uint64_t)dims[c])
        return fail(run, GP_ERR_RANGE, e * job->r + c, i, dims[c]);
    }
  return GP_OK;
}

#define SPARSE_MATMUL(type)                                                         \
  static void sparse_matmul_##type(void *ctx, int64_t task) {                       \
    const sparse_job *job = ctx;                                                    \
    const int64_t n = job->n, j = task * job->step, w = min_i64(job->step, n - j);  \
    const u_##type *v = (const u_##type *)job->values;                              \
    for (int64_t i = 0; i < job->m; i++)                                            \
      memset(job->y + (i * n + j) * (int64_t)sizeof *v, 0, (size_t)w * sizeof *v);  \
    for (int64_t e = 0; e < job->nnz; e++) {                                        \
      const int64_t i = index_at(job->indices, job->wide, 2 * e + job->column);     \
      const int64_t k = index_at(job->indices, job->wide, 2 * e + 1 - job->column); \
      u_##type *restrict y = (u_##type *)job->y + i * n + j;                        \
      const u_##type *b = (const u_##type *)job->b + k * n + j, x = v[e];           \
      for (int64_t l = 0; l < w; l++) y[l] += x * b[l];                             \
    }                                                                               \
  }
SPARSE_MATMUL(i32)
SPARSE_MATMUL(i64)
SPARSE_MATMUL(f32)
SPARSE_MATMUL(f64)

static int sparse_matmul_kernel(gp_run *run, const gp_insn *insn) {
  static void (*const fn[])(void *, int64_t) = {[GP_I32] = sparse_matmul_i32,
                                                [GP_I64] = sparse_matmul_i64,
                                                [GP_F32] = sparse_matmul_f32,
                                                [GP_F64] = sparse_matmul_f64};
  const gp_buf *y = arg_buf(run->plan, insn, 0), *b = arg_buf(run->plan, insn, 3);
  sparse_job job = sparse_job_of(run, insn);
  job.values = arg_ptr(run, insn, 2);
  job.b = arg_ptr(run, insn, 3);
  job.m = y->dims[0];
  job.n = job.step = y->dims[1];
  job.column = run->plan->attrs[insn->attr] != 0;
  const int64_t dims[2] = {job.column ? b->dims[0] : job.m, job.column ? job.m : b->dims[0]};
  const int rc = check_indices(run, &job, dims);
  if (rc || job.n == 0) return rc;
  if (job.nnz * job.n >= GP_PARALLEL) job.step = piece_of(job.n, 32, MAX_TASKS);
  gp_parallel(run->threads, (job.n + job.step - 1) / job.step, fn[y->dtype], &job);
  return GP_OK;
}

static const char *check_indices_of(const gp_plan *plan, const gp_insn *insn, int i) {
  const gp_buf *indices = arg_buf(plan, insn, i);
  if (!is_index(indices)) return "wrong dtype";
  if (indices->rank != 2) return "a matrix is expected";
  return is_contiguous(indices) ? NULL : "an argument is not contiguous";
}

static const char *sparse_matmul_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 3, 1);
  if (!wrong) wrong = check_indices_of(plan, insn, 1);
  if (wrong) return wrong;
  const gp_buf *y = arg_buf(plan, insn, 0), *indices = arg_buf(plan, insn, 1);
  const gp_buf *v = arg_buf(plan, insn, 2), *b = arg_buf(plan, insn, 3);
  if (y->dtype != v->dtype || y->dtype != b->dtype) return "wrong dtype";
  if (!is_float(y) && !is_index(y)) return "wrong dtype";
  if (y->rank != 2 || b->rank != 2) return "a matrix is expected";
  if (v->rank != 1 || v->dims[0] != indices->dims[0] || indices->dims[1] != 2 ||
      y->dims[1] != b->dims[1])
    return "shapes disagree";
  return is_contiguous(y) && is_contiguous(v) && is_contiguous(b) ? NULL
                                                                  : "an argument is not contiguous";
}

enum { LANES = 16 };
#define SPARSE_DOTS(type)                                                                          \
  static void sparse_dots_##type(void *ctx, int64_t task) {                                        \
    const sparse_job *job = ctx;                                                                   \
    const int64_t n = job->n, end = min_i64((task + 1) * job->step, job->nnz);                     \
    for (int64_t e = task * job->step; e < end; e++) {                                             \
      const t_##type *a = (const t_##type *)job->a + index_at(job->indices, job->wide, 2 * e) * n; \
      const t_##type *b =                                                                          \
          (const t_##type *)job->b + index_at(job->indices, job->wide, 2 * e + 1) * n;             \
      t_##type lane[LANES] = {0}, sum = 0;                                                         \
      int64_t l = 0;                                                                               \
      for (; l + LANES <= n; l += LANES)                                                           \
        for (int k = 0; k < LANES; k++) lane[k] += a[l + k] * b[l + k];                            \
      for (int k = 0; l < n; l++, k++) lane[k] += a[l] * b[l];                                     \
      for (int k = 0; k < LANES; k++) sum += lane[k];                                              \
      ((t_##type *)job->y)[e] = sum;                                                               \
    }                                                                                              \
  }
SPARSE_DOTS(f32)
SPARSE_DOTS(f64)

static int sparse_dots_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *a = arg_buf(run->plan, insn, 2), *b = arg_buf(run->plan, insn, 3);
  sparse_job job = sparse_job_of(run, insn);
  job.a = arg_ptr(run, insn, 2);
  job.b = arg_ptr(run, insn, 3);
  job.n = a->dims[1];
  const int64_t dims[2] = {a->dims[0], b->dims[0]};
  const int rc = check_indices(run, &job, dims);
  if (rc || job.nnz == 0) return rc;
  job.step = job.nnz * job.n >= GP_PARALLEL ? piece_of(job.nnz, 64, MAX_TASKS) : job.nnz;
  gp_parallel(run->threads, (job.nnz + job.step - 1) / job.step,
              a->dtype == GP_F32 ? sparse_dots_f32 : sparse_dots_f64, &job);
  return GP_OK;
}

static const char *sparse_dots_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 3, 0);
  if (!wrong) wrong = check_indices_of(plan, insn, 1);
  if (wrong) return wrong;
  const gp_buf *y = arg_buf(plan, insn, 0), *indices = arg_buf(plan, insn, 1);
  const gp_buf *a = arg_buf(plan, insn, 2), *b = arg_buf(plan, insn, 3);
  if (!is_float(y) || y->dtype != a->dtype || y->dtype != b->dtype) return "wrong dtype";
  if (a->rank != 2 || b->rank != 2) return "a matrix is expected";
  if (y->rank != 1 || y->dims[0] != indices->dims[0] || indices->dims[1] != 2 ||
      a->dims[1] != b->dims[1])
    return "shapes disagree";
  return is_contiguous(y) && is_contiguous(a) && is_contiguous(b) ? NULL
                                                                  : "an argument is not contiguous";
}

#define SPARSE_ADD(type)                                                       \
  static void sparse_add_##type(const sparse_job *job, const int64_t *dims) {  \
    const u_##type *v = (const u_##type *)job->values;                         \
    for (int64_t e = 0; e < job->nnz; e++, v += job->n) {                      \
      int64_t at = 0;                                                          \
      for (int64_t c = 0; c < job->r; c++)                                     \
        at = at * dims[c] + index_at(job->indices, job->wide, e * job->r + c); \
      u_##type *restrict y = (u_##type *)job->y + at * job->n;                 \
      for (int64_t l = 0; l < job->n; l++) y[l] += v[l];                       \
    }                                                                          \
  }
SPARSE_ADD(i32)
SPARSE_ADD(i64)
SPARSE_ADD(f32)
SPARSE_ADD(f64)

static int sparse_add_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *y = arg_buf(run->plan, insn, 0);
  sparse_job job = sparse_job_of(run, insn);
  job.values = arg_ptr(run, insn, 2);
  job.n = 1;
  for (int64_t d = job.r; d < y->rank; d++) job.n *= y->dims[d];
  const int rc = check_indices(run, &job, y->dims);
  if (rc) return rc;
  switch (y->dtype) {
    case GP_I32:
      sparse_add_i32(&job, y->dims);
      break;
    case GP_I64:
      sparse_add_i64(&job, y->dims);
      break;
    case GP_F32:
      sparse_add_f32(&job, y->dims);
      break;
    default:
      sparse_add_f64(&job, y->dims);
  }
  return GP_OK;
}

static const char *sparse_add_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 0);
  if (!wrong) wrong = check_indices_of(plan, insn, 1);
  if (wrong) return wrong;
  const gp_buf *y = arg_buf(plan, insn, 0), *indices = arg_buf(plan, insn, 1);
  const gp_buf *v = arg_buf(plan, insn, 2);
  const int64_t r = indices->dims[1];
  if (y->dtype != v->dtype || !(is_float(y) || is_index(y))) return "wrong dtype";
  if (r > y->rank || v->rank != 1 + y->rank - r || v->dims[0] != indices->dims[0])
    return "shapes disagree";
  for (int d = 1; d < v->rank; d++)
    if (v->dims[d] != y->dims[r + d - 1]) return "shapes disagree";
  return is_contiguous(y) && is_contiguous(v) ? NULL : "an argument is not contiguous";
}

/* How entry e of the indices compares to the one before it, by all columns but `drop` of them. */
static int64_t compare_to_last(const sparse_job *job, int64_t e, int64_t drop) {
  for (int64_t c = 0; c < job->r - drop; c++) {
    const int64_t at = e * job->r + c;
    const int64_t i = index_at(job->indices, job->wide, at);
    const int64_t before = index_at(job->indices, job->wide, at - job->r);
    if (i != before) return i > before ? 1 : -1;
  }
  return 0;
}

#define SPARSE_SOFTMAX(type, exp)                                               \
  static void sparse_softmax_##type(const sparse_job *job) {                    \
    const t_##type *x = (const t_##type *)job->values;                          \
    t_##type *y = (t_##type *)job->y;                                           \
    for (int64_t e = 0, end; e < job->nnz; e = end) {                           \
      t_##type most = x[e], sum = 0;                                            \
      for (end = e + 1; end < job->nnz && !compare_to_last(job, end, 1); end++) \
        most = x[end] > most ? x[end] : most;                                   \
      for (int64_t i = e; i < end; i++) sum += y[i] = exp(x[i] - most);         \
      for (int64_t i = e; i < end; i++) y[i] /= sum;                            \
    }                                                                           \
  }
SPARSE_SOFTMAX(f32, expf)
SPARSE_SOFTMAX(f64, exp)

static int sparse_softmax_kernel(gp_run *run, const gp_insn *insn) {
  sparse_job job = sparse_job_of(run, insn);
  job.values = arg_ptr(run, insn, 2);
  for (int64_t e = 1; e < job.nnz; e++)
    if (compare_to_last(&job, e, 0) <= 0) return fail(run, GP_ERR_ROWS, e, 0, 0);
  if (arg_buf(run->plan, insn, 0)->dtype == GP_F32)
    sparse_softmax_f32(&job);
  else
    sparse_softmax_f64(&job);
  return GP_OK;
}

static const char *sparse_softmax_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 0);
  if (!wrong) wrong = check_indices_of(plan, insn, 1);
  if (wrong) return wrong;
  const gp_buf *y = arg_buf(plan, insn, 0), *indices = arg_buf(plan, insn, 1);
  const gp_buf *v = arg_buf(plan, insn, 2);
  if (!is_float(y) || y->dtype != v->dtype) return "wrong dtype";
  if (v->rank != 1 || v->dims[0] != indices->dims[0] || !same_dims(y, v) || indices->dims[1] < 1)
    return "shapes disagree";
  return is_contiguous(y) && is_contiguous(v) ? NULL : "an argument is not contiguous";
}
