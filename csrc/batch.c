/* Products of many matrices in one instruction:
 *
 *   matmul_batch   outs y[..., m, n]   ins a[..., m, k], b[..., k, n]
 *
 * The leading dims are equal; a factor that is the same along one of them has stride 0 there. The
 * products are cut into tasks, or, where there are few and large ones, each of them is.
 */
#include "kernel.h"

enum { LARGE_PRODUCT = PARALLEL_PRODUCT << 5 /* m n k from which one is cut by itself */ };

typedef struct {
  const gp_buf *bufs[3];
  gp_buf matrix[3]; /* the last two dims of bufs: y, a, b */
  char *base[3];
  product p;
  enum way way;
  int64_t n, step; /* products; of a task */
} batch_job;

static gp_buf matrix_of(const gp_buf *b) {
  gp_buf m = *b;
  m.rank = 2;
  for (int i = 0; i < 2; i++) {
    m.dims[i] = b->dims[b->rank - 2 + i];
    m.strides[i] = b->strides[b->rank - 2 + i];
  }
  return m;
}

static product batch_product(const batch_job *job, int64_t i) {
  int64_t at[3] = {0, 0, 0};
  for (int d = job->bufs[0]->rank - 3; d >= 0; d--) {
    const int64_t dim = job->bufs[0]->dims[d], here = i % dim;
    i /= dim;
    for (int k = 0; k < 3; k++) at[k] += here * job->bufs[k]->strides[d];
  }
  const int64_t size = gp_itemsize(job->bufs[0]->dtype);
  product p = job->p;
  p.c = job->base[0] + at[0] * size;
  p.a = job->base[1] + at[1] * size;
  p.b = job->base[2] + at[2] * size;
  return p;
}

static void batch_task(void *ctx, int64_t task) {
  const batch_job *job = ctx;
  const int32_t dtype = job->bufs[0]->dtype;
  const gp_buf *m = job->matrix;
  const int64_t end = min_i64((task + 1) * job->step, job->n);
  for (int64_t i = task * job->step; i < end; i++) {
    const product p = batch_product(job, i);
    if (dtype == GP_I32)
      matmul_i32(&m[0], &m[1], &m[2], p.c, p.a, p.b);
    else if (dtype == GP_I64)
      matmul_i64(&m[0], &m[1], &m[2], p.c, p.a, p.b);
    else
      multiply(&p, dtype, job->way);
  }
}

static int matmul_batch_kernel(gp_run *run, const gp_insn *insn) {
  batch_job job = {.n = 1};
  for (int k = 0; k < 3; k++) {
    job.bufs[k] = arg_buf(run->plan, insn, k);
    job.matrix[k] = matrix_of(job.bufs[k]);
    job.base[k] = arg_ptr(run, insn, k);
  }
  for (int d = 0; d < job.bufs[0]->rank - 2; d++) job.n *= job.bufs[0]->dims[d];
  make_layout(&job.p, &job.matrix[0], &job.matrix[1], &job.matrix[2]);
  if (job.n == 0 || job.p.m == 0 || job.p.n == 0) return GP_OK;
  const int32_t dtype = job.bufs[0]->dtype;
  if (is_float(job.bufs[0])) job.way = product_way(&job.p, dtype);
  const int64_t each = job.p.m * job.p.n * job.p.k;
  if (is_float(job.bufs[0]) && each >= LARGE_PRODUCT && job.n < MAX_TASKS) {
    for (int64_t i = 0; i < job.n; i++) {
      mapped map = {.p = batch_product(&job, i), .way = job.way, .dtype = dtype};
      const int rc = map_run(run, &map);
      if (rc) return rc;
    }
    return GP_OK;
  }
  job.step = job.n;
  if (each >= PARALLEL_PRODUCT || each * job.n >= PARALLEL_PRODUCT)
    job.step = piece_of(job.n, 1, MAX_TASKS);
  gp_parallel(run->threads, (job.n + job.step - 1) / job.step, batch_task, &job);
  return GP_OK;
}

static const char *matmul_batch_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 0);
  if (wrong) return wrong;
  const gp_buf *y = arg_buf(plan, insn, 0);
  gp_buf m[3];
  for (int k = 0; k < 3; k++) {
    const gp_buf *b = arg_buf(plan, insn, k);
    if (b->rank < 2 || b->rank != y->rank) return "wrong rank";
    for (int d = 0; d < b->rank - 2; d++)
      if (b->dims[d] != y->dims[d]) return "shapes disagree";
    m[k] = matrix_of(b);
  }
  if (!is_contiguous(y)) return "the output is not contiguous";
  return matrices_check(&m[0], &m[1], &m[2]);
}
