/* Decompositions and solutions of batches of matrices by SciPy's LAPACK.
 *
 * It is column-major: read so, a row-major matrix is its transpose. A comment says for each kernel
 * what that makes of it; operands and results that it wants transposed come and go as views, which
 * cost nothing. Matrices lie one after the other without gaps; the last dims of a buffer are given.
 *
 *   lapack_cholesky    outs l[n, n]                              ins a[n, n]
 *   lapack_inverse     outs y[n, n], work, iwork                 ins a[n, n]
 *   lapack_det         outs det[], work, iwork                   ins a[n, n]
 *   lapack_slogdet     outs sign[], log[], work, iwork           ins a[n, n]
 *   lapack_solve       outs x'[k, n], work, iwork                ins a[n, n], b'[k, n]   attr
 * adjoint lapack_triangular  outs x'[k, n]                             ins a[n, n], b'[k, n] attrs
 * lower, adjoint lapack_lstsq       outs x'[k, n], work, iwork                ins a'[n, m], b'[k,
 * m] lapack_eigh        outs e[n], v'[n, n] or -1, work, iwork    ins a[n, n] lapack_svd outs s[p],
 * u[m, .] or -1, v'[., n] or -1, work, iwork ins a[m, n]             attr full lapack_qr outs q'[.,
 * m], r[., n], work              ins a'[n, m] lapack_expm        outs y[n, n], work, iwork ins a[n,
 * n]
 *
 * work [tasks, enough] and iwork [tasks, enough] are memory for the tasks that the batch is cut
 * into. A matrix that LAPACK cannot do is reported by its number; the first of them is.
 */
#include <math.h>

#include "kernel.h"
#include "kernels.h"

gp_lapack gp_lapack_table;

void gp_set_lapack(void **pointers) { memcpy(&gp_lapack_table, pointers, sizeof gp_lapack_table); }

typedef struct job job;
/* Does matrix i. 0, or what is wrong with it, at least 1. */
typedef int (*matrix_fn)(const job *job, int64_t i, void *work, int32_t *iwork);

struct job {
  matrix_fn fn;
  int64_t n_matrices, step;
  int m, n, k, full;
  bool lower, adjoint;
  char *out[3]; /* NULL if not wanted */
  const char *in[2];
  char *work;
  int32_t *iwork;
  int64_t size, lwork, liwork; /* bytes of an element; elements of a task */
  struct {
    int64_t matrix; /* at fault, or -1 */
    int info;
  } result[MAX_TASKS];
};

#define gp_gemm_f32 gp_blas_table.sgemm
#define gp_gemm_f64 gp_blas_table.dgemm

#define T float
#define SUFFIX f32
#include "lapack.h"
#define T double
#define SUFFIX f64
#include "lapack.h"

static void lapack_task(void *ctx, int64_t task) {
  job *j = ctx;
  const int64_t end = min_i64((task + 1) * j->step, j->n_matrices);
  j->result[task].matrix = -1;
  for (int64_t i = task * j->step; i < end; i++) {
    const int info = j->fn(j, i, j->work ? j->work + task * j->lwork * j->size : NULL,
                           j->iwork ? j->iwork + task * j->liwork : NULL);
    if (info) {
      j->result[task].matrix = i;
      j->result[task].info = info;
      return;
    }
  }
}

static int64_t batch_of(const gp_buf *b, int last) {
  int64_t n = 1;
  for (int i = 0; i < b->rank - last; i++) n *= b->dims[i];
  return n;
}

static int dim_of(const gp_buf *b, int from_end) { return (int)b->dims[b->rank - from_end]; }

/* n_results outputs, then work (and iwork), n_in inputs. */
static int run_job(gp_run *run, const gp_insn *insn, job *j, int n_results) {
  const gp_plan *plan = run->plan;
  const int extra = insn->n_out - n_results;
  int64_t tasks = extra ? arg_buf(plan, insn, n_results)->dims[0] : MAX_TASKS;
  for (int i = 0; i < n_results; i++)
    j->out[i] = arg_wanted(plan, insn, i) ? arg_ptr(run, insn, i) : NULL;
  for (int i = 0; i < insn->n_in; i++) j->in[i] = arg_ptr(run, insn, insn->n_out + i);
  j->size = gp_itemsize(arg_buf(plan, insn, insn->n_out)->dtype);
  j->work = extra > 0 ? arg_ptr(run, insn, n_results) : NULL;
  j->iwork = extra > 1 ? arg_ptr(run, insn, n_results + 1) : NULL;
  j->lwork = extra > 0 ? arg_buf(plan, insn, n_results)->dims[1] : 0;
  j->liwork = extra > 1 ? arg_buf(plan, insn, n_results + 1)->dims[1] : 0;
  if (j->n_matrices == 0) return GP_OK;
  const int64_t largest = j->m > j->n ? j->m : j->n;
  if (!extra && largest * largest * j->n * j->n_matrices < GP_PARALLEL << 3) tasks = 1;
  j->step = (j->n_matrices + tasks - 1) / tasks;
  tasks = (j->n_matrices + j->step - 1) / j->step;
  gp_parallel(run->threads, tasks, lapack_task, j);
  for (int64_t t = 0; t < tasks; t++)
    if (j->result[t].matrix >= 0)
      return fail(run, GP_ERR_MATRIX, j->result[t].matrix, j->result[t].info, j->n_matrices);
  return GP_OK;
}

#define FN(name) (arg_buf(run->plan, insn, insn->n_out)->dtype == GP_F32 ? name##_f32 : name##_f64)
#define SQUARE_KERNEL(name, n_results)                           \
  int lapack_##name##_kernel(gp_run *run, const gp_insn *insn) { \
    const gp_buf *a = arg_buf(run->plan, insn, insn->n_out);     \
    job j = {.fn = FN(name), .n_matrices = batch_of(a, 2)};      \
    j.m = j.n = dim_of(a, 1);                                    \
    return run_job(run, insn, &j, n_results);                    \
  }
SQUARE_KERNEL(cholesky, 1)
SQUARE_KERNEL(inverse, 1)
SQUARE_KERNEL(det, 1)
SQUARE_KERNEL(slogdet, 2)
SQUARE_KERNEL(eigh, 2)
SQUARE_KERNEL(expm, 1)

static int solve_job(gp_run *run, const gp_insn *insn, matrix_fn fn, bool lower, bool adjoint) {
  const gp_buf *a = arg_buf(run->plan, insn, insn->n_out);
  job j = {.fn = fn, .n_matrices = batch_of(a, 2), .lower = lower, .adjoint = adjoint};
  j.n = dim_of(a, 2);
  j.m = dim_of(a, 1);
  j.k = dim_of(arg_buf(run->plan, insn, 0), 2);
  return run_job(run, insn, &j, 1);
}

int lapack_solve_kernel(gp_run *run, const gp_insn *insn) {
  return solve_job(run, insn, FN(solve), false, run->plan->attrs[insn->attr]);
}
int lapack_triangular_kernel(gp_run *run, const gp_insn *insn) {
  const int64_t *attrs = run->plan->attrs + insn->attr;
  return solve_job(run, insn, FN(triangular), attrs[0], attrs[1]);
}
int lapack_lstsq_kernel(gp_run *run, const gp_insn *insn) {
  return solve_job(run, insn, FN(lstsq), false, false);
}

int lapack_svd_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *a = arg_buf(run->plan, insn, insn->n_out);
  job j = {.fn = FN(svd), .n_matrices = batch_of(a, 2), .m = dim_of(a, 2), .n = dim_of(a, 1)};
  j.full = run->plan->attrs[insn->attr] != 0;
  return run_job(run, insn, &j, 3);
}

int lapack_qr_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *a = arg_buf(run->plan, insn, insn->n_out);
  job j = {.fn = FN(qr), .n_matrices = batch_of(a, 2), .m = dim_of(a, 1), .n = dim_of(a, 2)};
  j.full = dim_of(arg_buf(run->plan, insn, 0), 2); /* columns of q */
  return run_job(run, insn, &j, 2);
}

/* ---- checks ---- */

/* Argument i, where it is there, ends in these dims (-1: none), has the batch of `a`, lies without
 * gaps, and is of the type of `a`. */
static const char *check_matrices(const gp_plan *plan, const gp_insn *insn, int i, const gp_buf *a,
                                  int64_t rows, int64_t cols) {
  if (!arg_wanted(plan, insn, i)) return NULL;
  const gp_buf *b = arg_buf(plan, insn, i);
  const int own = (rows >= 0) + (cols >= 0);
  if (b->dtype != a->dtype) return "wrong dtype";
  if (b->rank != a->rank - 2 + own) return "wrong rank";
  for (int d = 0; d < a->rank - 2; d++)
    if (b->dims[d] != a->dims[d]) return "shapes disagree";
  if (rows >= 0 && b->dims[b->rank - own] != rows) return "shapes disagree";
  if (cols >= 0 && b->dims[b->rank - 1] != cols) return "shapes disagree";
  return is_contiguous(b) ? NULL : "an argument is not contiguous";
}

/* What all kernels have: the number of arguments, a matrix of floats as first input, and memory. */
static const char *check_lapack(const gp_plan *plan, const gp_insn *insn, int n_results,
                                int n_extra, int n_in, int n_attr) {
  if (insn->n_out != n_results + n_extra || insn->n_in != n_in) return "wrong number of arguments";
  if (insn->n_attr != n_attr) return "wrong number of attributes";
  for (int i = 0; i < insn->n_out + n_in; i++)
    if ((i == 0 || i >= n_results) && !arg_wanted(plan, insn, i)) return "an argument is missing";
  const gp_buf *a = arg_buf(plan, insn, insn->n_out);
  if (!is_float(a)) return "wrong dtype";
  if (a->rank < 2) return "a matrix is expected";
  for (int d = a->rank - 2; d < a->rank; d++)
    if (a->dims[d] > 1 << 24) return "the matrix is too large for LAPACK";
  if (!is_contiguous(a)) return "an argument is not contiguous";
  for (int i = 0; i < n_extra; i++) {
    const gp_buf *w = arg_buf(plan, insn, n_results + i);
    if (w->dtype != (i ? GP_I32 : a->dtype)) return "wrong dtype";
    if (w->rank != 2 || w->dims[0] < 1 || w->dims[0] > MAX_TASKS) return "bad work memory";
    if (w->dims[0] != arg_buf(plan, insn, n_results)->dims[0]) return "bad work memory";
    if (w->dims[1] > INT32_MAX) return "the matrix is too large for LAPACK";
    if (!is_contiguous(w)) return "an argument is not contiguous";
  }
  return gp_lapack_table.f32.potrf && gp_blas_table.sgemm ? NULL : "LAPACK is not loaded";
}

/* The memory of a task is enough. */
static const char *check_work(const gp_plan *plan, const gp_insn *insn, int at, int64_t floats,
                              int64_t ints) {
  if (arg_buf(plan, insn, at)->dims[1] < floats) return "bad work memory";
  return ints && arg_buf(plan, insn, at + 1)->dims[1] < ints ? "bad work memory" : NULL;
}

#define TRY(check)                \
  do {                            \
    const char *wrong_ = (check); \
    if (wrong_) return wrong_;    \
  } while (0)

static const char *check_square(const gp_plan *plan, const gp_insn *insn, int n_results,
                                int n_extra, int n_in, int n_attr) {
  TRY(check_lapack(plan, insn, n_results, n_extra, n_in, n_attr));
  const gp_buf *a = arg_buf(plan, insn, insn->n_out);
  return dim_of(a, 1) == dim_of(a, 2) ? NULL : "the matrix is not square";
}

const char *lapack_cholesky_check(const gp_plan *plan, const gp_insn *insn) {
  TRY(check_square(plan, insn, 1, 0, 1, 0));
  const gp_buf *a = arg_buf(plan, insn, 1);
  return check_matrices(plan, insn, 0, a, dim_of(a, 1), dim_of(a, 1));
}

const char *lapack_inverse_check(const gp_plan *plan, const gp_insn *insn) {
  TRY(check_square(plan, insn, 1, 2, 1, 0));
  const gp_buf *a = arg_buf(plan, insn, 3);
  const int64_t n = dim_of(a, 1);
  TRY(check_work(plan, insn, 1, n, n));
  return check_matrices(plan, insn, 0, a, n, n);
}

const char *lapack_det_check(const gp_plan *plan, const gp_insn *insn) {
  TRY(check_square(plan, insn, 1, 2, 1, 0));
  const gp_buf *a = arg_buf(plan, insn, 3);
  const int64_t n = dim_of(a, 1);
  TRY(check_work(plan, insn, 1, n * n, n));
  return check_matrices(plan, insn, 0, a, -1, -1);
}

const char *lapack_slogdet_check(const gp_plan *plan, const gp_insn *insn) {
  TRY(check_square(plan, insn, 2, 2, 1, 0));
  if (!arg_wanted(plan, insn, 1)) return "an argument is missing";
  const gp_buf *a = arg_buf(plan, insn, 4);
  const int64_t n = dim_of(a, 1);
  TRY(check_work(plan, insn, 2, n * n, n));
  TRY(check_matrices(plan, insn, 0, a, -1, -1));
  return check_matrices(plan, insn, 1, a, -1, -1);
}

/* The right-hand sides: b'[k, m] and x'[k, n]. */
static const char *check_sides(const gp_plan *plan, const gp_insn *insn, int64_t m, int64_t n) {
  const gp_buf *a = arg_buf(plan, insn, insn->n_out), *x = arg_buf(plan, insn, 0);
  if (x->rank < 2 || dim_of(x, 2) > 1 << 24) return "a matrix is expected";
  TRY(check_matrices(plan, insn, 0, a, x->dims[x->rank - 2], n));
  return check_matrices(plan, insn, insn->n_out + 1, a, x->dims[x->rank - 2], m);
}

const char *lapack_solve_check(const gp_plan *plan, const gp_insn *insn) {
  TRY(check_square(plan, insn, 1, 2, 2, 1));
  const int64_t n = dim_of(arg_buf(plan, insn, 3), 1);
  TRY(check_work(plan, insn, 1, n * n, n));
  return check_sides(plan, insn, n, n);
}

const char *lapack_triangular_check(const gp_plan *plan, const gp_insn *insn) {
  TRY(check_square(plan, insn, 1, 0, 2, 2));
  const int64_t n = dim_of(arg_buf(plan, insn, 1), 1);
  return check_sides(plan, insn, n, n);
}

/* The least memory that gelsd's documentation asks for, with its blocks of 25. */
const char *lapack_lstsq_check(const gp_plan *plan, const gp_insn *insn) {
  TRY(check_lapack(plan, insn, 1, 2, 2, 0));
  const gp_buf *a = arg_buf(plan, insn, 3);
  const int64_t n = dim_of(a, 2), m = dim_of(a, 1);
  TRY(check_sides(plan, insn, m, n));
  const int64_t k = dim_of(arg_buf(plan, insn, 0), 2), p = min_i64(m, n), most = m > n ? m : n;
  int64_t levels = 1;
  while (p >> levels >= 26) levels++;
  levels++;
  const int64_t least = 12 * p + 50 * p + 8 * p * levels + p * k + 676 + m + n + 1;
  return check_work(plan, insn, 1, m * n + most * k + p + least, 3 * p * levels + 11 * p + 1);
}

const char *lapack_eigh_check(const gp_plan *plan, const gp_insn *insn) {
  TRY(check_square(plan, insn, 2, 2, 1, 0));
  const gp_buf *a = arg_buf(plan, insn, 4);
  const int64_t n = dim_of(a, 1);
  TRY(check_work(plan, insn, 2, 3 * n * n + 6 * n + 1, 5 * n + 3));
  TRY(check_matrices(plan, insn, 0, a, -1, n));
  return check_matrices(plan, insn, 1, a, n, n);
}

const char *lapack_svd_check(const gp_plan *plan, const gp_insn *insn) {
  TRY(check_lapack(plan, insn, 3, 2, 1, 1));
  const gp_buf *a = arg_buf(plan, insn, 5);
  const int64_t m = dim_of(a, 2), n = dim_of(a, 1), p = min_i64(m, n), most = m > n ? m : n;
  const bool full = plan->attrs[insn->attr] != 0;
  if (arg_wanted(plan, insn, 1) != arg_wanted(plan, insn, 2)) return "an argument is missing";
  TRY(check_work(plan, insn, 3, m * n + 4 * p * p + 8 * p + most + 1, 8 * p + 1));
  TRY(check_matrices(plan, insn, 0, a, -1, p));
  TRY(check_matrices(plan, insn, 1, a, m, full ? m : p));
  return check_matrices(plan, insn, 2, a, full ? n : p, n);
}

const char *lapack_qr_check(const gp_plan *plan, const gp_insn *insn) {
  TRY(check_lapack(plan, insn, 2, 1, 1, 0));
  if (!arg_wanted(plan, insn, 1)) return "an argument is missing";
  const gp_buf *a = arg_buf(plan, insn, 3), *q = arg_buf(plan, insn, 0);
  const int64_t n = dim_of(a, 2), m = dim_of(a, 1), p = min_i64(m, n);
  if (q->rank < 2) return "wrong rank";
  const int64_t c = dim_of(q, 2);
  if (c != p && c != m) return "shapes disagree";
  TRY(check_work(plan, insn, 2, m * n + p + m + n + 1, 0));
  TRY(check_matrices(plan, insn, 0, a, c, m));
  return check_matrices(plan, insn, 1, a, c, n);
}

const char *lapack_expm_check(const gp_plan *plan, const gp_insn *insn) {
  TRY(check_square(plan, insn, 1, 2, 1, 0));
  const gp_buf *a = arg_buf(plan, insn, 3);
  const int64_t n = dim_of(a, 1);
  TRY(check_work(plan, insn, 1, 6 * n * n, n));
  return check_matrices(plan, insn, 0, a, n, n);
}
