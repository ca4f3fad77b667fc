/* Windows over channels that do not mix.
 *
 *   depthwise          outs y[n, d, h, w, c]        ins x[n, D, H, W, c], f[D', H', W', c] or none
 *   depthwise_filter   outs f[D', H', W', c]        ins x, y[n, d, h, w, c]
 *                      attrs: strides, dilations (of d, h, w)
 *   max_pool           outs y, argmax[n, d, h, w, c] or -1    ins x
 *   max_pool_grad      outs dx                      ins x, y, dy
 *   max_pool_grad_grad outs ddy                     ins x, y, ddx
 *                      attrs: taps, strides, dilations, padding before (of d, h, w); max_pool: and
 *                      whether argmax counts through the batch
 *   windows_add        outs x[n, D, H, W, c]        ins y[n, d, h, w, D' H' W' c]
 *                      attrs: as of max_pool_grad. Each element of x is the sum of its places in
 *                      the windows y
 *
 * Sums reach over a padded x; the largest element is sought among those that are there. Its
 * gradient goes to the first of equals. Without f depthwise sums, for averages.
 */
#include <limits.h>
#include <math.h>

#include "kernel.h"
#include "simd.h"

enum {
  SIDE = 32,  /* channels whose sums stay in registers */
  FOUND = 256 /* channels whose argmax is kept at a time */
};

typedef struct {
  int64_t from, to; /* the taps that lie inside */
  int64_t start;    /* where tap 0 lies; it may be outside */
} window_range;

typedef struct {
  const void *x, *f, *dy;
  void *y, *dx, *found;
  int64_t n, c, per_task;
  int64_t places, rows; /* of the result, and of rows of it along w */
  int64_t image;        /* elements of an image of x */
  int64_t size[3], out[4], step[4], xs[4], ys[4], flat[3];
  int64_t taps[3], stride[3], dilation[3], pad[3], tap_x[3], tap_f[3];
  int64_t base;
  bool narrow, with_batch;
} window_job;

/* The taps of place o along dim i that lie inside. */
static inline window_range window_along(const window_job *job, int i, int64_t o) {
  const int64_t start = o * job->stride[i] - job->pad[i], step = job->dilation[i];
  const int64_t left = job->size[i] - start;
  window_range in = {.start = start, .to = job->taps[i]};
  if (start < 0) in.from = (step - 1 - start) / step;
  if (left <= (in.to - 1) * step) in.to = left <= 0 ? 0 : (left + step - 1) / step;
  return in;
}

/* A row of places along w: its windows along d and h, its image, and its offset in y. */
static int64_t window_row(const window_job *job, int64_t row, window_range *in, int64_t *n) {
  const int64_t h = row % job->out[2], rest = row / job->out[2], d = rest % job->out[1];
  *n = rest / job->out[1];
  in[0] = window_along(job, 0, d);
  in[1] = window_along(job, 1, h);
  return *n * job->ys[0] + d * job->ys[1] + h * job->ys[2];
}

#define EACH_TAP(job, in)                           \
  for (int64_t d = in[0].from; d < in[0].to; d++)   \
    for (int64_t h = in[1].from; h < in[1].to; h++) \
      for (int64_t w = in[2].from; w < in[2].to; w++)
/* Where a tap lies: in x by its strides, or (flat) in an image without gaps. */
#define STEP_x(job, i) (job)->xs[i + 1]
#define STEP_flat(job, i) (job)->flat[i]
#define TAP(job, in, how)                                        \
  ((in[0].start + d * (job)->dilation[0]) * STEP_##how(job, 0) + \
   (in[1].start + h * (job)->dilation[1]) * STEP_##how(job, 1) + \
   (in[2].start + w * (job)->dilation[2]) * STEP_##how(job, 2))

#define T int32_t
#define SUFFIX i32
#define LOWEST INT32_MIN
#include "window.h"
#define T int64_t
#define SUFFIX i64
#define LOWEST INT64_MIN
#include "window.h"
#define T float
#define SUFFIX f32
#define LOWEST -INFINITY
#define FLOATS
#include "window.h"
#define T double
#define SUFFIX f64
#define LOWEST -INFINITY
#define FLOATS
#include "window.h"

/* ---- sums ---- */

static window_job sums_job(const gp_run *run, const gp_insn *insn, const gp_buf *x, const gp_buf *y,
                           const int64_t *taps) {
  const int64_t *attrs = run->plan->attrs + insn->attr;
  window_job job = {.x = arg_ptr(run, insn, 1), .c = x->dims[4], .places = 1};
  for (int i = 0; i < 4; i++) {
    job.out[i] = y->dims[i];
    job.ys[i] = y->strides[i];
    job.step[i] = x->strides[i] * (i ? attrs[i - 1] : 1);
    job.places *= y->dims[i];
  }
  for (int i = 0; i < 3; i++) {
    job.taps[i] = taps[i];
    job.tap_x[i] = x->strides[i + 1] * attrs[3 + i];
  }
  return job;
}

static int depthwise_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *y = arg_buf(run->plan, insn, 0), *x = arg_buf(run->plan, insn, 1);
  const gp_buf *f = insn->n_in > 1 ? arg_buf(run->plan, insn, 2) : NULL;
  const int64_t *attrs = run->plan->attrs + insn->attr;
  window_job job = sums_job(run, insn, x, y, f ? f->dims : attrs + 6);
  job.y = arg_ptr(run, insn, 0);
  if (count(y) == 0) return GP_OK;
  if (f) {
    job.f = arg_ptr(run, insn, 2);
    for (int i = 0; i < 3; i++) job.tap_f[i] = f->strides[i];
  }
  const double work = (double)count(y) * (double)(job.taps[0] * job.taps[1] * job.taps[2]);
  job.per_task = piece_of(job.places, 1, work < 4 * GP_PARALLEL ? 1 : MAX_TASKS);
  gp_parallel(run->threads, (job.places + job.per_task - 1) / job.per_task,
              y->dtype == GP_F32 ? depthwise_task_f32 : depthwise_task_f64, &job);
  return GP_OK;
}

static int depthwise_filter_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *df = arg_buf(run->plan, insn, 0), *x = arg_buf(run->plan, insn, 1);
  const gp_buf *dy = arg_buf(run->plan, insn, 2);
  window_job job = sums_job(run, insn, x, dy, df->dims);
  job.dx = arg_ptr(run, insn, 0);
  job.dy = arg_ptr(run, insn, 2);
  const int64_t taps = job.taps[0] * job.taps[1] * job.taps[2];
  const double work = (double)count(dy) * (double)taps;
  if (count(dy) == 0) {
    memset(job.dx, 0, (size_t)(count(df) * gp_itemsize(df->dtype)));
    return GP_OK;
  }
  job.per_task = piece_of(taps, 1, work < 4 * GP_PARALLEL ? 1 : MAX_TASKS);
  gp_parallel(run->threads, (taps + job.per_task - 1) / job.per_task,
              df->dtype == GP_F32 ? depthwise_filter_task_f32 : depthwise_filter_task_f64, &job);
  return GP_OK;
}

static const char *depthwise_check(const gp_plan *plan, const gp_insn *insn) {
  if (insn->n_in != 1 && insn->n_in != 2) return "wrong number of arguments";
  const char *wrong = check_arity(plan, insn, 1, insn->n_in, insn->n_in == 1 ? 9 : 6);
  if (wrong) return wrong;
  const gp_buf *y = arg_buf(plan, insn, 0), *x = arg_buf(plan, insn, 1);
  const gp_buf *f = insn->n_in > 1 ? arg_buf(plan, insn, 2) : NULL;
  if (f && f->rank != 4) return "four dims are expected";
  wrong = windows_check(plan, insn, x, y, f ? f->dims : plan->attrs + insn->attr + 6);
  if (wrong) return wrong;
  if (y->dims[4] != x->dims[4] || (f && f->dims[3] != x->dims[4])) return "shapes disagree";
  if (f && f->dtype != x->dtype) return "wrong dtype";
  return !f || is_inner(f, 4) ? NULL : "the channels are not contiguous";
}

static const char *depthwise_filter_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 6);
  if (wrong) return wrong;
  const gp_buf *df = arg_buf(plan, insn, 0), *x = arg_buf(plan, insn, 1);
  const gp_buf *dy = arg_buf(plan, insn, 2);
  if (df->rank != 4) return "four dims are expected";
  wrong = windows_check(plan, insn, x, dy, df->dims);
  if (wrong) return wrong;
  if (df->dtype != x->dtype) return "wrong dtype";
  if (df->dims[3] != x->dims[4] || dy->dims[4] != x->dims[4]) return "shapes disagree";
  return is_contiguous(df) ? NULL : "an argument is not contiguous";
}

/* ---- the largest, and sums of windows ---- */

static window_job pool_job(const gp_run *run, const gp_insn *insn, const gp_buf *x,
                           const gp_buf *y) {
  const int64_t *attrs = run->plan->attrs + insn->attr;
  window_job job = {.n = x->dims[0], .c = x->dims[4], .places = 1};
  for (int i = 0; i < 4; i++) {
    job.out[i] = y->dims[i];
    job.xs[i] = x->strides[i];
    job.ys[i] = y->strides[i];
    job.places *= y->dims[i];
  }
  job.rows = y->dims[0] * y->dims[1] * y->dims[2];
  job.image = job.c;
  for (int i = 2; i >= 0; i--) {
    job.flat[i] = job.image;
    job.size[i] = x->dims[i + 1];
    job.image *= job.size[i];
    job.taps[i] = attrs[i];
    job.stride[i] = attrs[3 + i];
    job.dilation[i] = attrs[6 + i];
    job.pad[i] = attrs[9 + i];
  }
  return job;
}

typedef void (*window_task)(void *, int64_t);

static void by_rows_of_places(gp_run *run, window_job *job, window_task task) {
  const bool small = job->places * job->c < GP_PARALLEL;
  job->per_task = piece_of(job->rows, 1, small ? 1 : MAX_TASKS);
  gp_parallel(run->threads, (job->rows + job->per_task - 1) / job->per_task, task, job);
}

static int max_pool_kernel(gp_run *run, const gp_insn *insn) {
  static const window_task task[GP_NDTYPES] = {[GP_I32] = max_pool_task_i32,
                                               [GP_I64] = max_pool_task_i64,
                                               [GP_F32] = max_pool_task_f32,
                                               [GP_F64] = max_pool_task_f64};
  const gp_buf *y = arg_buf(run->plan, insn, 0), *x = arg_buf(run->plan, insn, 2);
  window_job job = pool_job(run, insn, x, y);
  if (count(y) == 0) return GP_OK;
  job.x = arg_ptr(run, insn, 2);
  job.y = arg_ptr(run, insn, 0);
  if (arg_wanted(run->plan, insn, 1)) {
    job.found = arg_ptr(run, insn, 1);
    job.narrow = arg_buf(run->plan, insn, 1)->dtype == GP_I32;
    job.with_batch = run->plan->attrs[insn->attr + 12] != 0;
  }
  by_rows_of_places(run, &job, task[y->dtype]);
  return GP_OK;
}

static void by_images(gp_run *run, window_job *job, double work, window_task task) {
  job->per_task = piece_of(job->n, 1, work < GP_PARALLEL ? 1 : MAX_TASKS);
  gp_parallel(run->threads, (job->n + job->per_task - 1) / job->per_task, task, job);
}

static int windows_add_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *x = arg_buf(run->plan, insn, 0), *y = arg_buf(run->plan, insn, 1);
  window_job job = pool_job(run, insn, x, y);
  job.dx = arg_ptr(run, insn, 0);
  job.y = arg_ptr(run, insn, 1);
  if (count(x) == 0) return GP_OK;
  by_images(run, &job, (double)count(y),
            x->dtype == GP_F32 ? windows_add_task_f32 : windows_add_task_f64);
  return GP_OK;
}

static int max_pool_grad_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *x = arg_buf(run->plan, insn, 1), *y = arg_buf(run->plan, insn, 2);
  window_job job = pool_job(run, insn, x, y);
  job.x = arg_ptr(run, insn, 1);
  job.y = arg_ptr(run, insn, 2);
  job.dy = arg_ptr(run, insn, 3);
  job.dx = arg_ptr(run, insn, 0);
  if (job.n == 0 || job.image == 0) return GP_OK;
  by_images(run, &job, (double)(job.n * job.image),
            x->dtype == GP_F32 ? max_pool_grad_task_f32 : max_pool_grad_task_f64);
  return GP_OK;
}

static int max_pool_grad_grad_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *x = arg_buf(run->plan, insn, 1), *y = arg_buf(run->plan, insn, 2);
  window_job job = pool_job(run, insn, x, y);
  if (count(y) == 0) return GP_OK;
  job.x = arg_ptr(run, insn, 1);
  job.y = arg_ptr(run, insn, 2);
  job.dy = arg_ptr(run, insn, 3);
  job.dx = arg_ptr(run, insn, 0);
  by_rows_of_places(run, &job,
                    x->dtype == GP_F32 ? max_pool_grad_grad_task_f32 : max_pool_grad_grad_task_f64);
  return GP_OK;
}

static const char *pool_check(const gp_plan *plan, const gp_insn *insn, const gp_buf *x,
                              const gp_buf *y) {
  const int64_t *attrs = plan->attrs + insn->attr;
  if (x->dtype == GP_BOOL || y->dtype != x->dtype) return "wrong dtype";
  if (x->rank != 5 || y->rank != 5) return "five dims are expected";
  if (!is_inner(x, 5) || !is_inner(y, 5)) return "the channels are not contiguous";
  if (x->dims[0] != y->dims[0]) return "shapes disagree";
  for (int i = 0; i < 3; i++) {
    const int64_t taps = attrs[i], stride = attrs[3 + i], dilation = attrs[6 + i];
    const int64_t pad = attrs[9 + i], places = y->dims[i + 1];
    if (taps < 1 || stride < 1 || dilation < 1 || taps > INT32_MAX || stride > INT32_MAX ||
        dilation > INT32_MAX || pad < 0 || pad > INT32_MAX)
      return "no such window";
    if (places > 1 && places - 1 > (x->dims[i + 1] + pad) / stride) return "too many windows";
  }
  return NULL;
}

static const char *max_pool_check(const gp_plan *plan, const gp_insn *insn) {
  if (insn->n_out != 2 || insn->n_in != 1) return "wrong number of arguments";
  if (insn->n_attr != 13) return "wrong number of attributes";
  if (!arg_wanted(plan, insn, 0) || !arg_wanted(plan, insn, 2)) return "an argument is missing";
  const gp_buf *y = arg_buf(plan, insn, 0), *x = arg_buf(plan, insn, 2);
  const char *wrong = pool_check(plan, insn, x, y);
  if (wrong) return wrong;
  if (x->dims[4] != y->dims[4]) return "shapes disagree";
  if (!arg_wanted(plan, insn, 1)) return NULL;
  const gp_buf *found = arg_buf(plan, insn, 1);
  if (!is_index(found)) return "wrong dtype";
  if (!same_dims(found, y)) return "shapes disagree";
  return is_contiguous(found) ? NULL : "an argument is not contiguous";
}

/* Arguments `image` (of x's dims) and `place` (of y's) are the ones without gaps. */
static const char *pool_grad_check(const gp_plan *plan, const gp_insn *insn, int image, int place) {
  const char *wrong = check_arity(plan, insn, 1, 3, 12);
  if (wrong) return wrong;
  const gp_buf *x = arg_buf(plan, insn, 1), *y = arg_buf(plan, insn, 2);
  const gp_buf *dx = arg_buf(plan, insn, image), *dy = arg_buf(plan, insn, place);
  wrong = pool_check(plan, insn, x, y);
  if (wrong) return wrong;
  if (!is_float(x) || dx->dtype != x->dtype || dy->dtype != x->dtype) return "wrong dtype";
  if (x->dims[4] != y->dims[4] || !same_dims(dx, x) || !same_dims(dy, y)) return "shapes disagree";
  return is_contiguous(dx) && is_contiguous(dy) ? NULL : "an argument is not contiguous";
}

static const char *max_pool_grad_check(const gp_plan *plan, const gp_insn *insn) {
  return pool_grad_check(plan, insn, 0, 3);
}

static const char *max_pool_grad_grad_check(const gp_plan *plan, const gp_insn *insn) {
  return pool_grad_check(plan, insn, 3, 0);
}

static const char *windows_add_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 1, 12);
  if (wrong) return wrong;
  const gp_buf *x = arg_buf(plan, insn, 0), *y = arg_buf(plan, insn, 1);
  wrong = pool_check(plan, insn, x, y);
  if (wrong) return wrong;
  if (!is_float(x)) return "wrong dtype";
  int64_t row = x->dims[4];
  for (int i = 0; i < 3; i++)
    if (__builtin_mul_overflow(row, plan->attrs[insn->attr + i], &row)) return "shapes disagree";
  if (y->dims[4] != row) return "shapes disagree";
  return is_contiguous(x) && is_contiguous(y) ? NULL : "an argument is not contiguous";
}
