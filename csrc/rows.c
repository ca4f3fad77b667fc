/* Softmax, log-softmax and the two softmax cross-entropies, over the rows of a matrix [m, n]. */
#include <math.h>

#include "kernel.h"
#include "vmath.h"

enum {
  PANEL = 1024,  /* elements of scratch: many short rows, or a piece of a long one */
  SHORT_ROW = 20 /* and below: see short_row_stats */
};

static inline int64_t label_at(const void *labels, bool wide, int64_t i) {
  return wide ? ((const volatile int64_t *)labels)[i] : ((const volatile int32_t *)labels)[i];
}

/* Rows handed out in tasks: fn gets the job and m rows from some row on. */
typedef struct rows_job rows_job;
typedef int64_t (*rows_fn)(const rows_job *job, const void *x, const void *labels, int64_t m,
                           void *a, void *b);
struct rows_job {
  rows_fn fn;
  int64_t m, n;           /* x[m, n] */
  const char *x, *labels; /* labels may be NULL */
  char *a, *b;            /* NULL if not wanted */
  int64_t row, label;     /* bytes of a row of x and b, and of labels */
  int64_t result;         /* and of a */
  bool wide;              /* labels are int64, not int32 */
  int64_t step;           /* rows of a task */
  int64_t bad;            /* a row at fault, or -1 */
};

static void rows_task(void *ctx, int64_t task) {
  rows_job *job = ctx;
  const int64_t i = task * job->step;
  const int64_t bad =
      job->fn(job, job->x + i * job->row, job->labels ? job->labels + i * job->label : NULL,
              min_i64(job->step, job->m - i), job->a ? job->a + i * job->result : NULL,
              job->b ? job->b + i * job->row : NULL);
  if (bad >= 0) __atomic_store_n(&job->bad, i + bad, __ATOMIC_RELAXED);
}

/* Tasks are whole panels of rows, so that the panels are the same for any cut. */
static void by_rows(gp_run *run, rows_job *job) {
  const int64_t panel = job->n < PANEL ? PANEL / (job->n ? job->n : 1) : 1;
  job->bad = -1;
  job->step = job->m;
  if (job->m * job->n >= GP_PARALLEL) job->step = piece_of(job->m, panel, MAX_TASKS);
  gp_parallel(run->threads, job->m ? (job->m + job->step - 1) / job->step : 0, rows_task, job);
}

#define T float
#define SUFFIX f32
#include "softmax.h"
#define T double
#define SUFFIX f64
#include "softmax.h"

#define SOFTMAX_KERNEL(op)                                           \
  static int op##_kernel(gp_run *run, const gp_insn *insn) {         \
    const gp_buf *in = arg_buf(run->plan, insn, 1);                  \
    rows_job job = {.fn = in->dtype == GP_F32 ? op##_f32 : op##_f64, \
                    .m = in->dims[0],                                \
                    .n = in->dims[1],                                \
                    .x = arg_ptr(run, insn, 1),                      \
                    .a = arg_ptr(run, insn, 0)};                     \
    job.row = job.result = job.n * gp_itemsize(in->dtype);           \
    if (job.n) by_rows(run, &job);                                   \
    return GP_OK;                                                    \
  }
SOFTMAX_KERNEL(softmax)
SOFTMAX_KERNEL(log_softmax)

static const char *softmax_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 1, 0);
  if (wrong) return wrong;
  if (arg_buf(plan, insn, 0)->rank != 2) return "a matrix is expected";
  return check_float_group(plan, insn, 0, 2);
}

/* outs loss[m], backprop[m, n], either of which may be absent; ins logits[m, n], labels */
static void *wanted_ptr(const gp_run *run, const gp_insn *insn, int i) {
  return arg_wanted(run->plan, insn, i) ? arg_ptr(run, insn, i) : NULL;
}

static rows_job xent_job(const gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 2);
  const int64_t size = gp_itemsize(in->dtype);
  return (rows_job){.m = in->dims[0],
                    .n = in->dims[1],
                    .x = arg_ptr(run, insn, 2),
                    .labels = arg_ptr(run, insn, 3),
                    .a = wanted_ptr(run, insn, 0),
                    .b = wanted_ptr(run, insn, 1),
                    .row = in->dims[1] * size,
                    .result = size};
}

static int softmax_xent_kernel(gp_run *run, const gp_insn *insn) {
  rows_job job = xent_job(run, insn);
  job.fn = arg_buf(run->plan, insn, 2)->dtype == GP_F32 ? xent_f32 : xent_f64;
  job.label = job.row;
  if (job.n)
    by_rows(run, &job);
  else if (job.a) /* the sum of nothing */
    memset(job.a, 0, (size_t)(job.m * job.result));
  return GP_OK;
}

static int sparse_softmax_xent_kernel(gp_run *run, const gp_insn *insn) {
  rows_job job = xent_job(run, insn);
  job.fn = arg_buf(run->plan, insn, 2)->dtype == GP_F32 ? sparse_xent_f32 : sparse_xent_f64;
  job.wide = arg_buf(run->plan, insn, 3)->dtype == GP_I64;
  job.label = job.wide ? 8 : 4;
  int64_t bad = 0; /* all labels are looked at before anything is written */
  while (bad < job.m && (uint64_t)label_at(job.labels, job.wide, bad) < (uint64_t)job.n) bad++;
  if (bad == job.m) {
    by_rows(run, &job);
    bad = job.bad;
  }
  if (bad < 0) return GP_OK;
  return fail(run, GP_ERR_RANGE, bad, label_at(job.labels, job.wide, bad), job.n);
}

static const char *xent_check(const gp_plan *plan, const gp_insn *insn, bool sparse) {
  if (insn->n_out != 2 || insn->n_in != 2) return "wrong number of arguments";
  if (insn->n_attr) return "wrong number of attributes";
  const gp_buf *logits = arg_buf(plan, insn, 2), *labels = arg_buf(plan, insn, 3);
  if (!is_float(logits) || !(sparse ? is_index(labels) : labels->dtype == logits->dtype))
    return "wrong dtype";
  if (logits->rank != 2) return "a matrix is expected";
  if (!is_contiguous(logits) || !is_contiguous(labels)) return "an argument is not contiguous";
  if (sparse ? labels->rank != 1 || labels->dims[0] != logits->dims[0] : !same_dims(labels, logits))
    return "shapes disagree";
  if (arg_wanted(plan, insn, 0)) {
    const gp_buf *loss = arg_buf(plan, insn, 0);
    if (loss->dtype != logits->dtype) return "wrong dtype";
    if (loss->rank != 1 || loss->dims[0] != logits->dims[0]) return "shapes disagree";
    if (!is_contiguous(loss)) return "an argument is not contiguous";
  }
  return arg_wanted(plan, insn, 1) ? check_float_group(plan, insn, 1, 3) : NULL;
}

static const char *softmax_xent_check(const gp_plan *plan, const gp_insn *insn) {
  return xent_check(plan, insn, false);
}
static const char *sparse_softmax_xent_check(const gp_plan *plan, const gp_insn *insn) {
  return xent_check(plan, insn, true);
}
