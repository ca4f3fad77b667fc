/* scatter: rows combined into rows of an array by index, in order, so that of equal indices the
 * last one set wins and sums have the same bits for any number of threads.
 *
 *   out[g, indices[g / (groups / batches), i], :] op= updates[g, i, :]
 *
 * out [groups, rows, inner], read and written; ins indices [batches, n], updates [groups, n,
 * inner], of which groups and rows may have any stride; attrs enum scatter, enum outside, and
 * whether what differs from the index before it is set, whatever the op (sorted segments: the first
 * row of each).
 */
#include "index.h"

enum scatter {
  SCATTER_SET,
  SCATTER_ADD,
  SCATTER_SUB,
  SCATTER_MUL,
  SCATTER_DIV,
  SCATTER_MIN,
  SCATTER_MAX,
  N_SCATTERS
};

typedef struct scatter_job scatter_job;
typedef void (*scatter_fn)(const scatter_job *job, int64_t group, int64_t from, int64_t to);
struct scatter_job {
  scatter_fn fn;
  char *out;
  const char *updates;
  const void *indices;
  int64_t groups, rows, inner, n, per_batch;
  int64_t size;             /* bytes of an element */
  int64_t group_step, step; /* of updates, in elements */
  int64_t piece;            /* rows of out, or groups, of a task */
  bool wide, segments;
};

/* Every update whose row of out is in [from, to): whatever an index is, nothing else is touched. */
#define SCATTER_ROWS(T, COMBINE)                                                          \
  {                                                                                       \
    T *const out = (T *)(void *)job->out + g * job->rows * job->inner;                    \
    const T *const updates = (const T *)(const void *)job->updates + g * job->group_step; \
    const int64_t at = g / job->per_batch * job->n, inner = job->inner;                   \
    int64_t before = -1;                                                                  \
    for (int64_t i = 0; i < job->n; i++) {                                                \
      const int64_t k = index_at(job->indices, job->wide, at + i);                        \
      if (k < from || k >= to) continue;                                                  \
      T *restrict y = out + k * inner;                                                    \
      const T *restrict x = updates + i * job->step;                                      \
      if (job->segments && k != before) {                                                 \
        before = k;                                                                       \
        for (int64_t j = 0; j < inner; j++) y[j] = x[j];                                  \
      } else {                                                                            \
        for (int64_t j = 0; j < inner; j++) y[j] = COMBINE;                               \
      }                                                                                   \
    }                                                                                     \
  }
#define SCATTER(name, T, COMBINE)                                               \
  static void name(const scatter_job *job, int64_t g, int64_t from, int64_t to) \
      SCATTER_ROWS(T, COMBINE)

SCATTER(scatter_set_1, uint8_t, x[j])
SCATTER(scatter_set_2, uint16_t, x[j])
SCATTER(scatter_set_4, uint32_t, x[j])
SCATTER(scatter_set_8, uint64_t, x[j])
/* sums of integers wrap, and so does the least one divided by -1 */
#define SCATTER_INTEGER(s, T, U)           \
  SCATTER(scatter_add_##s, U, y[j] + x[j]) \
  SCATTER(scatter_sub_##s, U, y[j] - x[j]) \
  SCATTER(scatter_mul_##s, U, y[j] * x[j]) \
  SCATTER(scatter_div_##s, T, (x[j] == -1 ? (T)(0 - (U)y[j]) : y[j] / (x[j] ? x[j] : 1)))
#define SCATTER_FLOAT(s, T)                \
  SCATTER(scatter_add_##s, T, y[j] + x[j]) \
  SCATTER(scatter_sub_##s, T, y[j] - x[j]) \
  SCATTER(scatter_mul_##s, T, y[j] * x[j]) \
  SCATTER(scatter_div_##s, T, y[j] / x[j])
#define SCATTER_ORDER(s, T)                                              \
  SCATTER(scatter_min_##s, T, x[j] < y[j] || x[j] != x[j] ? x[j] : y[j]) \
  SCATTER(scatter_max_##s, T, x[j] > y[j] || x[j] != x[j] ? x[j] : y[j])
SCATTER_INTEGER(i32, int32_t, uint32_t)
SCATTER_INTEGER(i64, int64_t, uint64_t)
SCATTER_FLOAT(f32, float)
SCATTER_FLOAT(f64, double)
SCATTER_ORDER(i32, int32_t)
SCATTER_ORDER(i64, int64_t)
SCATTER_ORDER(f32, float)
SCATTER_ORDER(f64, double)

#define SCATTER_FNS(s) \
  {NULL,               \
   scatter_add_##s,    \
   scatter_sub_##s,    \
   scatter_mul_##s,    \
   scatter_div_##s,    \
   scatter_min_##s,    \
   scatter_max_##s}
static const scatter_fn scatter_fns[GP_NDTYPES][N_SCATTERS] = {[GP_I32] = SCATTER_FNS(i32),
                                                               [GP_I64] = SCATTER_FNS(i64),
                                                               [GP_F32] = SCATTER_FNS(f32),
                                                               [GP_F64] = SCATTER_FNS(f64)};

static scatter_fn scatter_function(int32_t dtype, int64_t which) {
  if (which != SCATTER_SET) return scatter_fns[dtype][which];
  const int64_t size = gp_itemsize(dtype);
  return size == 1   ? scatter_set_1
         : size == 2 ? scatter_set_2
         : size == 4 ? scatter_set_4
                     : scatter_set_8;
}

static void scatter_groups(void *ctx, int64_t task) {
  const scatter_job *job = ctx;
  const int64_t from = task * job->piece, to = min_i64(from + job->piece, job->groups);
  for (int64_t g = from; g < to; g++) job->fn(job, g, 0, job->rows);
}

static void scatter_range(void *ctx, int64_t task) {
  const scatter_job *job = ctx;
  const int64_t from = task * job->piece, to = min_i64(from + job->piece, job->rows);
  job->fn(job, 0, from, to);
}

/* The first divisor that is 0, or -1. */
static int64_t zero_divisor(const scatter_job *job, bool wide) {
  for (int64_t g = 0; g < job->groups; g++)
    for (int64_t i = 0; i < job->n; i++) {
      const int64_t at = g * job->group_step + i * job->step;
      for (int64_t j = 0; j < job->inner; j++)
        if (!index_at(job->updates, wide, at + j)) return (g * job->n + i) * job->inner + j;
    }
  return -1;
}

static int scatter_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0), *indices = arg_buf(run->plan, insn, 1),
               *updates = arg_buf(run->plan, insn, 2);
  const int64_t *attrs = run->plan->attrs + insn->attr;
  scatter_job job = {.fn = scatter_function(out->dtype, attrs[0]),
                     .out = arg_ptr(run, insn, 0),
                     .indices = arg_ptr(run, insn, 1),
                     .updates = arg_ptr(run, insn, 2),
                     .groups = out->dims[0],
                     .rows = out->dims[1],
                     .inner = out->dims[2],
                     .n = indices->dims[1],
                     .size = gp_itemsize(out->dtype),
                     .group_step = updates->strides[0],
                     .step = updates->strides[1],
                     .wide = indices->dtype == GP_I64,
                     .segments = attrs[2]};
  /* everything is looked at before anything is written */
  const int64_t all = count(indices);
  const int64_t bad = first_failing(job.indices, job.wide, all, job.rows, (enum outside)attrs[1]);
  if (bad < all)
    return fail(run, GP_ERR_RANGE, bad, index_at(job.indices, job.wide, bad), job.rows);
  if (attrs[0] == SCATTER_DIV && is_index(out)) {
    const int64_t zero = zero_divisor(&job, out->dtype == GP_I64);
    if (zero >= 0) return fail(run, GP_ERR_DIVIDE, zero, 0, 0);
  }
  if (count(updates) == 0 || job.rows == 0) return GP_OK;
  job.per_batch = job.groups / indices->dims[0];
  /* Where there are groups each is one task's; else tasks share the rows of out, and every one of
   * them looks at all indices, which pays for rows of some length. */
  const bool much = count(updates) >= GP_PARALLEL;
  if (job.groups > 1) {
    job.piece = much ? piece_of(job.groups, 1, MAX_TASKS) : job.groups;
    gp_parallel(run->threads, (job.groups + job.piece - 1) / job.piece, scatter_groups, &job);
  } else {
    job.piece = much && job.inner >= 16 ? piece_of(job.rows, 1, MAX_TASKS / 2) : job.rows;
    gp_parallel(run->threads, (job.rows + job.piece - 1) / job.piece, scatter_range, &job);
  }
  return GP_OK;
}

static const char *scatter_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 3);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *indices = arg_buf(plan, insn, 1),
               *updates = arg_buf(plan, insn, 2);
  const int64_t *attrs = plan->attrs + insn->attr;
  if (attrs[0] < 0 || attrs[0] >= N_SCATTERS || attrs[1] < 0 || attrs[1] > LARGE_SKIPPED ||
      attrs[2] < 0 || attrs[2] > 1)
    return "bad attribute";
  if (!is_index(indices) || out->dtype != updates->dtype) return "wrong dtype";
  if (!scatter_function(out->dtype, attrs[0])) return "wrong dtype";
  if (out->rank != 3 || updates->rank != 3 || indices->rank != 2) return "wrong rank";
  if (out->dims[0] != updates->dims[0] || out->dims[2] != updates->dims[2] ||
      updates->dims[1] != indices->dims[1])
    return "shapes disagree";
  if (indices->dims[0] ? out->dims[0] % indices->dims[0] : out->dims[0])
    return "the batches do not divide the groups";
  if (!is_contiguous(out) || !is_contiguous(indices) || !has_whole_rows(updates))
    return "an argument is not contiguous";
  return NULL;
}
