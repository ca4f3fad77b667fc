/* Convolutions: direct, without a copy of the patches.
 *
 *   conv          outs y[n, d, h, w, k]                ins x[n, D, H, W, c], f[D', H', W', c, k]
 *                                                      and bias[k] if it has one
 *                 attrs: strides, dilations (of d, h, w), whether relu comes last
 *   conv_filter   outs f[parts, D', H', W', c, k]      ins x[n, D, H, W, c], y[n, d, h, w, k]
 *                 attrs: strides, dilations; part p sums over its share of the n
 *
 *   y[n, o, k] = sum over taps t and c of x[n, o strides + t dilations, c] f[t, c, k]
 *
 * Where the taps along w are neighbours in x, and so is what they multiply with in f, they make one
 * factor of W' c elements, which is read where it lies. Padding, transposed convolutions and other
 * layouts are a matter of views and copies (ops/window.py).
 */
#include "kernel.h"

enum {
  RUN_ROWS = 8 * BLOCK_ROWS, /* rows of a run, at most */
  NEAR = 16384,              /* elements of x that are used by all panels of f before others are */
  LINE = 512                 /* terms of a sum before they are added to those before them */
};

typedef struct {
  int64_t n, x, y; /* of one dim of the result: its size, its step in x and in y */
} conv_dim;

typedef struct {
  const void *x, *f, *bias;
  void *y;
  bool relu;
  int64_t k, depth; /* elements of x that lie in a row for one tap */
  int n_dims, row;  /* the dim along which the rows of a block lie */
  conv_dim dims[4];
  int64_t taps[3], tap_x[3], tap_f[3]; /* how many; steps in x and in f */
  int64_t pieces, runs, near, per_task;
} conv_job;

typedef struct {
  const void *x, *dy;
  void *df;
  int64_t n, k, depth, parts, tasks, lines;
  int64_t out[3], step[3], taps[3], tap_x[3], xs[4], ys[4];
} filter_job;

#define T float
#define SUFFIX f32
#include "conv.h"
#define T double
#define SUFFIX f64
#include "conv.h"

/* The dims of the result; neighbours that are one walk in x and in y are merged. Rows go along the
 * innermost one, unless it is too short for a block. */
static void conv_dims(conv_job *job, const gp_buf *y, const gp_buf *x, const int64_t *strides) {
  int n = 0;
  for (int i = 0; i < 4; i++) {
    const conv_dim dim = {y->dims[i], x->strides[i] * (i ? strides[i - 1] : 1), y->strides[i]};
    if (dim.n == 1) continue;
    if (n && job->dims[n - 1].x == dim.x * dim.n && job->dims[n - 1].y == dim.y * dim.n)
      job->dims[n - 1] = (conv_dim){job->dims[n - 1].n * dim.n, dim.x, dim.y};
    else
      job->dims[n++] = dim;
  }
  if (n == 0) job->dims[n++] = (conv_dim){1, 0, 0};
  job->n_dims = n;
  job->row = n - 1;
  if (2 * job->dims[n - 1].n < BLOCK_ROWS)
    for (int i = n - 1; i >= 0; i--)
      if (job->dims[i].n > job->dims[job->row].n) job->row = i;
}

static int conv_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *y = arg_buf(run->plan, insn, 0), *x = arg_buf(run->plan, insn, 1);
  const gp_buf *f = arg_buf(run->plan, insn, 2);
  const int64_t *attrs = run->plan->attrs + insn->attr, c = x->dims[4];
  conv_job job = {.x = arg_ptr(run, insn, 1),
                  .f = arg_ptr(run, insn, 2),
                  .bias = insn->n_in > 2 ? arg_ptr(run, insn, 3) : NULL,
                  .y = arg_ptr(run, insn, 0),
                  .relu = attrs[6] != 0,
                  .k = f->dims[4],
                  .depth = c};
  if (count(y) == 0) return GP_OK;
  conv_dims(&job, y, x, attrs);
  for (int i = 0; i < 3; i++) {
    job.taps[i] = f->dims[i];
    job.tap_x[i] = x->strides[i + 1] * attrs[3 + i];
    job.tap_f[i] = f->strides[i];
  }
  if (job.taps[2] == 1 || (job.tap_x[2] == c && job.tap_f[2] == c * job.k)) {
    job.depth = c * job.taps[2];
    job.taps[2] = 1;
  }
  const int64_t rows = min_i64(job.dims[job.row].n, RUN_ROWS);
  job.pieces = (job.dims[job.row].n + RUN_ROWS - 1) / RUN_ROWS;
  job.runs = job.pieces;
  for (int i = 0; i < job.n_dims; i++)
    if (i != job.row) job.runs *= job.dims[i].n;
  job.near = NEAR / (rows * c + 1) + 1;
  const double work = (double)count(y) * (double)(c * f->dims[0] * f->dims[1] * f->dims[2]);
  const int64_t tasks = work < PARALLEL_PRODUCT ? 1 : min_i64(MAX_TASKS, job.runs);
  job.per_task = piece_of(job.runs, 1, tasks);
  gp_parallel(run->threads, (job.runs + job.per_task - 1) / job.per_task,
              y->dtype == GP_F32 ? conv_task_f32 : conv_task_f64, &job);
  return GP_OK;
}

static int conv_filter_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *df = arg_buf(run->plan, insn, 0), *x = arg_buf(run->plan, insn, 1);
  const gp_buf *dy = arg_buf(run->plan, insn, 2);
  const int64_t *attrs = run->plan->attrs + insn->attr, c = x->dims[4];
  filter_job job = {.x = arg_ptr(run, insn, 1),
                    .dy = arg_ptr(run, insn, 2),
                    .df = arg_ptr(run, insn, 0),
                    .n = dy->dims[0],
                    .k = dy->dims[4],
                    .depth = c,
                    .parts = df->dims[0]};
  if (count(df) == 0) return GP_OK;
  if (count(dy) == 0) {
    memset(job.df, 0, (size_t)(count(df) * gp_itemsize(df->dtype)));
    return GP_OK;
  }
  for (int i = 0; i < 4; i++) job.xs[i] = x->strides[i], job.ys[i] = dy->strides[i];
  for (int i = 0; i < 3; i++) {
    job.out[i] = dy->dims[i + 1];
    job.step[i] = x->strides[i + 1] * attrs[i];
    job.taps[i] = df->dims[i + 1];
    job.tap_x[i] = x->strides[i + 1] * attrs[3 + i];
  }
  if (job.taps[2] == 1 || job.tap_x[2] == c) {
    job.depth = c * job.taps[2];
    job.taps[2] = 1;
  }
  job.lines = LINE / job.out[2] + 1;
  const double work = (double)(count(df) / job.parts) * (double)(count(dy) / job.k);
  /* every task reads all images, so they are few; what one adds up does not depend on that */
  job.tasks = work < PARALLEL_PRODUCT ? 1 : min_i64(MAX_TASKS, 2 * run->threads);
  gp_parallel(run->threads, job.tasks,
              df->dtype == GP_F32 ? conv_filter_task_f32 : conv_filter_task_f64, &job);
  return GP_OK;
}

/* ---- what a plan must keep to ---- */

/* Whether every window of `taps` taps lies in a dim of `size`, of `places` places. */
static bool windows_fit(int64_t size, int64_t places, int64_t taps, int64_t stride,
                        int64_t dilation) {
  if (stride < 1 || dilation < 1 || stride > INT32_MAX || dilation > INT32_MAX || taps < 1)
    return false;
  if (places == 0) return true;
  if ((places - 1) > size / stride || (taps - 1) > size / dilation) return false;
  return (places - 1) * stride + (taps - 1) * dilation + 1 <= size;
}

static bool is_inner(const gp_buf *b, int rank) { /* the last dim is contiguous */
  return b->rank == rank && (b->strides[rank - 1] == 1 || b->dims[rank - 1] == 1);
}

/* x[n, D, H, W, c] and y[n, d, h, w, ?], with windows of taps[3]. */
static const char *windows_check(const gp_plan *plan, const gp_insn *insn, const gp_buf *x,
                                 const gp_buf *y, const int64_t *taps) {
  const int64_t *attrs = plan->attrs + insn->attr;
  if (!is_float(x) || y->dtype != x->dtype) return "wrong dtype";
  if (x->rank != 5 || y->rank != 5) return "five dims are expected";
  if (!is_inner(x, 5) || !is_inner(y, 5)) return "the channels are not contiguous";
  if (x->dims[0] != y->dims[0]) return "shapes disagree";
  for (int i = 0; i < 3; i++)
    if (!windows_fit(x->dims[i + 1], count(y) ? y->dims[i + 1] : 0, taps[i], attrs[i],
                     attrs[3 + i]))
      return "a window reaches outside";
  return NULL;
}

static const char *conv_check(const gp_plan *plan, const gp_insn *insn) {
  if (insn->n_in != 2 && insn->n_in != 3) return "wrong number of arguments";
  const char *wrong = check_arity(plan, insn, 1, insn->n_in, 7);
  if (wrong) return wrong;
  const gp_buf *y = arg_buf(plan, insn, 0), *x = arg_buf(plan, insn, 1),
               *f = arg_buf(plan, insn, 2);
  if (f->rank != 5) return "five dims are expected";
  wrong = windows_check(plan, insn, x, y, f->dims);
  if (wrong) return wrong;
  if (f->dtype != x->dtype) return "wrong dtype";
  if (f->dims[3] != x->dims[4] || f->dims[4] != y->dims[4]) return "shapes disagree";
  if (!is_inner(f, 5) || (f->dims[3] > 1 && f->strides[3] != f->dims[4]))
    return "the channels are not contiguous";
  if (insn->n_in == 2) return NULL;
  const gp_buf *bias = arg_buf(plan, insn, 3);
  if (bias->dtype != x->dtype) return "wrong dtype";
  if (bias->rank != 1 || bias->dims[0] != y->dims[4]) return "shapes disagree";
  return is_contiguous(bias) ? NULL : "an argument is not contiguous";
}

static const char *conv_filter_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 6);
  if (wrong) return wrong;
  const gp_buf *df = arg_buf(plan, insn, 0), *x = arg_buf(plan, insn, 1);
  const gp_buf *dy = arg_buf(plan, insn, 2);
  if (df->rank != 6) return "six dims are expected";
  wrong = windows_check(plan, insn, x, dy, df->dims + 1);
  if (wrong) return wrong;
  if (df->dtype != x->dtype) return "wrong dtype";
  if (df->dims[4] != x->dims[4] || df->dims[5] != dy->dims[4]) return "shapes disagree";
  if (df->dims[0] < 1 || (df->dims[0] > 1 && df->dims[0] > dy->dims[0])) return "too many parts";
  return is_contiguous(df) ? NULL : "an argument is not contiguous";
}
