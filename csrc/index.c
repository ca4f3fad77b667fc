/* Moving elements by index: gather, one_hot, fill, and what makes indices out of other indices.
 * Nothing is computed, so all of it is by the size of an element, not by its type. */
#include "index.h"

/* dst[i] = value for n elements of `size` bytes */
static void fill_elements(char *dst, int64_t n, int64_t size, const void *value) {
#define FILL(type)                                                \
  {                                                               \
    type v;                                                       \
    memcpy(&v, value, sizeof v);                                  \
    for (int64_t i = 0; i < n; i++) ((type *)(void *)dst)[i] = v; \
  }
  if (size == 1)
    memset(dst, *(const uint8_t *)value, (size_t)n);
  else if (size == 2)
    FILL(uint16_t)
  else if (size == 4)
    FILL(uint32_t)
  else
    FILL(uint64_t)
#undef FILL
}

/* ---- fill: out becomes the element whose bytes are in attr 0, first byte lowest ---- */

int fill_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0);
  fill_elements(arg_ptr(run, insn, 0), count(out), gp_itemsize(out->dtype),
                run->plan->attrs + insn->attr);
  return GP_OK;
}

const char *fill_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 0, 1);
  if (wrong) return wrong;
  return is_contiguous(arg_buf(plan, insn, 0)) ? NULL : "an argument is not contiguous";
}

/* ---- ravel_index: out int64[n] = the position of indices[n, k] in an array of the dims in the k
 * attrs, row-major ---- */

int ravel_index_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 1);
  const int64_t n = in->dims[0], k = in->dims[1];
  const int64_t *dims = run->plan->attrs + insn->attr;
  const void *indices = arg_ptr(run, insn, 1);
  const bool wide = in->dtype == GP_I64;
  int64_t *out = arg_ptr(run, insn, 0);
  for (int64_t i = 0; i < n; i++) {
    int64_t at = 0;
    for (int64_t j = 0; j < k; j++) {
      const int64_t index = index_at(indices, wide, i * k + j);
      if (index < 0 || index >= dims[j]) return fail(run, GP_ERR_RANGE, i * k + j, index, dims[j]);
      at = at * dims[j] + index;
    }
    out[i] = at;
  }
  return GP_OK;
}

const char *ravel_index_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 1, (int)insn->n_attr);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *in = arg_buf(plan, insn, 1);
  if (!is_index(in) || out->dtype != GP_I64) return "wrong dtype";
  if (in->rank != 2 || out->rank != 1) return "a matrix of indices is expected";
  if (out->dims[0] != in->dims[0] || in->dims[1] != insn->n_attr) return "shapes disagree";
  int64_t size = 1;
  for (int64_t j = 0; j < insn->n_attr; j++) {
    const int64_t dim = plan->attrs[insn->attr + j];
    if (dim < 0 || dim > GP_MAX_BYTES) return "a dim is out of range";
    if (__builtin_mul_overflow(size, dim ? dim : 1, &size) || size > GP_MAX_BYTES)
      return "the dims are too large";
  }
  return is_contiguous(out) && is_contiguous(in) ? NULL : "an argument is not contiguous";
}

/* ---- gather: out[g, i, :] = params[g, indices[g / (groups / batches), i], :] ----
 * out [groups, n, inner]; params [groups, rows, inner], indices [batches, n]; attr: enum outside,
 * OUTSIDE_FAILS or NEGATIVE_SKIPPED, which gives zeros */

typedef struct {
  const char *params;
  char *out;
  const void *indices;
  int64_t n, rows, per_batch; /* groups that share their indices */
  int64_t row;                /* bytes of one */
  int64_t total, step;        /* rows of out, and of a task */
  bool wide;
} gather_job;

#define GATHER_ROWS(COPY)                                                                \
  for (int64_t r = from; r < to;) {                                                      \
    const int64_t g = r / job->n, first = g * job->n, end = min_i64(to, first + job->n); \
    const char *params = job->params + g * job->rows * job->row;                         \
    const int64_t at = g / job->per_batch * job->n - first;                              \
    for (; r < end; r++) {                                                               \
      const int64_t k = index_at(job->indices, job->wide, at + r);                       \
      const bool there = k >= 0 && k < job->rows;                                        \
      COPY                                                                               \
    }                                                                                    \
  }
#define GATHER_ELEMENTS(type) \
  GATHER_ROWS(((type *)(void *)job->out)[r] = there ? ((const type *)(const void *)params)[k] : 0;)

static void gather_task(void *ctx, int64_t task) {
  const gather_job *job = ctx;
  const int64_t from = task * job->step, to = min_i64(from + job->step, job->total);
  const size_t bytes = (size_t)job->row;
  if (job->row == 1)
    GATHER_ELEMENTS(uint8_t)
  else if (job->row == 2)
    GATHER_ELEMENTS(uint16_t)
  else if (job->row == 4)
    GATHER_ELEMENTS(uint32_t)
  else if (job->row == 8)
    GATHER_ELEMENTS(uint64_t)
  else
    GATHER_ROWS(char *to_row = job->out + r * job->row;
                if (there) memcpy(to_row, params + k * job->row, bytes);
                else memset(to_row, 0, bytes);)
}

int gather_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0), *params = arg_buf(run->plan, insn, 1),
               *indices = arg_buf(run->plan, insn, 2);
  const int64_t groups = out->dims[0], size = gp_itemsize(out->dtype);
  gather_job job = {.params = arg_ptr(run, insn, 1),
                    .out = arg_ptr(run, insn, 0),
                    .indices = arg_ptr(run, insn, 2),
                    .n = out->dims[1],
                    .rows = params->dims[1],
                    .row = out->dims[2] * size,
                    .total = groups * out->dims[1],
                    .wide = indices->dtype == GP_I64};
  const int64_t all = count(indices);
  const int64_t bad = first_failing(job.indices, job.wide, all, job.rows,
                                    (enum outside)run->plan->attrs[insn->attr]);
  if (bad < all)
    return fail(run, GP_ERR_RANGE, bad, index_at(job.indices, job.wide, bad), job.rows);
  if (count(out) == 0) return GP_OK;
  job.per_batch = groups / indices->dims[0];
  job.step = job.total;
  if (count(out) >= GP_PARALLEL) job.step = piece_of(job.total, 1, MAX_TASKS);
  gp_parallel(run->threads, (job.total + job.step - 1) / job.step, gather_task, &job);
  return GP_OK;
}

const char *gather_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 1);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *params = arg_buf(plan, insn, 1),
               *indices = arg_buf(plan, insn, 2);
  const int64_t outside = plan->attrs[insn->attr];
  if (outside != OUTSIDE_FAILS && outside != NEGATIVE_SKIPPED) return "bad attribute";
  if (!is_index(indices) || out->dtype != params->dtype) return "wrong dtype";
  if (out->rank != 3 || params->rank != 3 || indices->rank != 2) return "wrong rank";
  if (out->dims[0] != params->dims[0] || out->dims[2] != params->dims[2] ||
      out->dims[1] != indices->dims[1])
    return "shapes disagree";
  if (indices->dims[0] ? out->dims[0] % indices->dims[0] : out->dims[0])
    return "the batches do not divide the groups";
  for (int i = 0; i < 3; i++)
    if (!is_contiguous(arg_buf(plan, insn, i))) return "an argument is not contiguous";
  return NULL;
}

/* ---- one_hot: out[outer, depth, inner] is `on` where depth is indices[outer, inner], else `off`
 * ---- ins indices, on [], off [] */

typedef struct {
  char *out;
  const void *indices, *on, *off;
  int64_t outer, depth, inner, size, step;
  bool wide;
} one_hot_job;

static void one_hot_task(void *ctx, int64_t task) {
  const one_hot_job *job = ctx;
  const int64_t from = task * job->step, to = min_i64(from + job->step, job->outer);
  const int64_t block = job->depth * job->inner, size = job->size;
  fill_elements(job->out + from * block * size, (to - from) * block, size, job->off);
  for (int64_t i = from; i < to; i++)
    for (int64_t j = 0; j < job->inner; j++) {
      const int64_t k = index_at(job->indices, job->wide, i * job->inner + j);
      if (k >= 0 && k < job->depth)
        memcpy(job->out + (i * block + k * job->inner + j) * size, job->on, (size_t)size);
    }
}

int one_hot_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0);
  one_hot_job job = {.out = arg_ptr(run, insn, 0),
                     .indices = arg_ptr(run, insn, 1),
                     .on = arg_ptr(run, insn, 2),
                     .off = arg_ptr(run, insn, 3),
                     .outer = out->dims[0],
                     .depth = out->dims[1],
                     .inner = out->dims[2],
                     .size = gp_itemsize(out->dtype),
                     .wide = arg_buf(run->plan, insn, 1)->dtype == GP_I64};
  if (count(out) == 0) return GP_OK;
  job.step = job.outer;
  if (count(out) >= GP_PARALLEL) job.step = piece_of(job.outer, 1, MAX_TASKS);
  gp_parallel(run->threads, (job.outer + job.step - 1) / job.step, one_hot_task, &job);
  return GP_OK;
}

const char *one_hot_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 3, 0);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *indices = arg_buf(plan, insn, 1);
  if (!is_index(indices)) return "wrong dtype";
  for (int i = 2; i < 4; i++) {
    if (arg_buf(plan, insn, i)->dtype != out->dtype) return "wrong dtype";
    if (arg_buf(plan, insn, i)->rank) return "a scalar is expected";
  }
  if (out->rank != 3 || indices->rank != 2) return "wrong rank";
  if (out->dims[0] != indices->dims[0] || out->dims[2] != indices->dims[1])
    return "shapes disagree";
  return is_contiguous(out) && is_contiguous(indices) ? NULL : "an argument is not contiguous";
}

/* ---- invert_permutation: out[x[i]] = i ---- */

static const char *vectors_check(const gp_plan *plan, const gp_insn *insn, int from) {
  for (int i = from; i < insn->n_out + insn->n_in; i++) {
    if (!arg_wanted(plan, insn, i)) continue;
    const gp_buf *b = arg_buf(plan, insn, i);
    if (b->rank != 1) return "a vector is expected";
    if (!is_contiguous(b)) return "an argument is not contiguous";
  }
  return NULL;
}

#define INVERT(type)                                                \
  {                                                                 \
    type *y = out;                                                  \
    for (int64_t i = 0; i < n; i++) y[i] = -1;                      \
    for (int64_t i = 0; i < n; i++) {                               \
      const int64_t k = index_at(x, wide, i);                       \
      if (k < 0 || k >= n) return fail(run, GP_ERR_RANGE, i, k, n); \
      if (y[k] >= 0) return fail(run, GP_ERR_TWICE, i, k, n);       \
      y[k] = (type)i;                                               \
    }                                                               \
  }

int invert_permutation_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 1);
  const int64_t n = in->dims[0];
  const void *x = arg_ptr(run, insn, 1);
  void *out = arg_ptr(run, insn, 0);
  const bool wide = in->dtype == GP_I64;
  if (wide)
    INVERT(int64_t)
  else
    INVERT(int32_t)
  return GP_OK;
}

const char *invert_permutation_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 1, 0);
  if (!wrong) wrong = vectors_check(plan, insn, 0);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *in = arg_buf(plan, insn, 1);
  if (!is_index(in) || out->dtype != in->dtype) return "wrong dtype";
  if (!same_dims(out, in)) return "shapes disagree";
  return in->dtype == GP_I32 && in->dims[0] > INT32_MAX ? "too many elements" : NULL;
}

/* ---- last_of_equals: outs seen bool[n] = whether no later one of indices[n] equals this one,
 * table int64[rows], which need not be cleared: only what is written is read ---- */

int last_of_equals_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 2);
  const int64_t n = in->dims[0], rows = arg_buf(run->plan, insn, 1)->dims[0];
  const void *x = arg_ptr(run, insn, 2);
  const bool wide = in->dtype == GP_I64;
  uint8_t *seen = arg_ptr(run, insn, 0);
  int64_t *table = arg_ptr(run, insn, 1);
  for (int64_t i = 0; i < n; i++) {
    const int64_t k = index_at(x, wide, i);
    if (k < 0 || k >= rows) return fail(run, GP_ERR_RANGE, i, k, rows);
    table[k] = i;
  }
  for (int64_t i = 0; i < n; i++) {
    const int64_t k = index_at(x, wide, i);
    seen[i] = k >= 0 && k < rows && table[k] == i;
  }
  return GP_OK;
}

const char *last_of_equals_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 2, 1, 0);
  if (!wrong) wrong = vectors_check(plan, insn, 0);
  if (wrong) return wrong;
  const gp_buf *seen = arg_buf(plan, insn, 0), *in = arg_buf(plan, insn, 2);
  if (!is_index(in) || seen->dtype != GP_BOOL || arg_buf(plan, insn, 1)->dtype != GP_I64)
    return "wrong dtype";
  return same_dims(seen, in) ? NULL : "shapes disagree";
}

/* ---- where: out int64[size of the condition, rank] = the coordinates of what is true; n int64[] =
 * how many there are, the rest of out is left as it is ---- */

int where_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 2);
  const uint8_t *condition = arg_ptr(run, insn, 2);
  int64_t *out = arg_ptr(run, insn, 0), found = 0;
  const int64_t size = count(in);
  const int rank = in->rank;
  const int64_t inner = rank ? in->dims[rank - 1] : 1;
  int64_t at[GP_MAX_RANK] = {0};
  for (int64_t i = 0; i < size; i += inner) {
    for (int64_t j = 0; j < inner; j++) {
      if (!condition[i + j]) continue;
      int64_t *row = out + found++ * rank;
      for (int d = 0; d < rank - 1; d++) row[d] = at[d];
      if (rank) row[rank - 1] = j;
    }
    for (int d = rank - 2; d >= 0 && ++at[d] == in->dims[d]; d--) at[d] = 0;
  }
  *(int64_t *)arg_ptr(run, insn, 1) = found;
  return GP_OK;
}

const char *where_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 2, 1, 0);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *n = arg_buf(plan, insn, 1),
               *in = arg_buf(plan, insn, 2);
  if (in->dtype != GP_BOOL || out->dtype != GP_I64 || n->dtype != GP_I64) return "wrong dtype";
  if (out->rank != 2 || n->rank != 0) return "wrong rank";
  if (out->dims[0] != count(in) || out->dims[1] != in->rank) return "shapes disagree";
  return is_contiguous(in) && is_contiguous(out) ? NULL : "an argument is not contiguous";
}

/* ---- partition: which rows belong to which part ----
 * outs order int64[n], the rows of part 0, then those of part 1 and so on; bounds int64[parts + 1],
 * where each begins; in partitions[n] */

int partition_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 2);
  const int64_t n = in->dims[0], parts = arg_buf(run->plan, insn, 1)->dims[0] - 1;
  const void *x = arg_ptr(run, insn, 2);
  const bool wide = in->dtype == GP_I64;
  int64_t *order = arg_ptr(run, insn, 0), *bounds = arg_ptr(run, insn, 1);
  memset(bounds, 0, (size_t)(parts + 1) * sizeof *bounds);
  for (int64_t i = 0; i < n; i++) {
    const int64_t k = index_at(x, wide, i);
    if (k < 0 || k >= parts) return fail(run, GP_ERR_RANGE, i, k, parts);
    bounds[k + 1]++;
  }
  for (int64_t p = 0; p < parts; p++) bounds[p + 1] += bounds[p];
  for (int64_t i = 0; i < n; i++) { /* moves each begin to its end */
    const int64_t k = index_at(x, wide, i);
    if (k < 0 || k >= parts || bounds[k] >= n) return fail(run, GP_ERR_RANGE, i, k, parts);
    order[bounds[k]++] = i;
  }
  for (int64_t p = parts; p > 0; p--) bounds[p] = bounds[p - 1];
  bounds[0] = 0;
  return GP_OK;
}

const char *partition_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 2, 1, 0);
  if (!wrong) wrong = vectors_check(plan, insn, 0);
  if (wrong) return wrong;
  const gp_buf *order = arg_buf(plan, insn, 0), *bounds = arg_buf(plan, insn, 1),
               *in = arg_buf(plan, insn, 2);
  if (!is_index(in) || order->dtype != GP_I64 || bounds->dtype != GP_I64) return "wrong dtype";
  return same_dims(order, in) && bounds->dims[0] >= 1 ? NULL : "shapes disagree";
}

/* ---- segment_count: n int64[] = 1 + the last of the sorted ids[n], or 0 ---- */

int segment_count_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 1);
  const void *ids = arg_ptr(run, insn, 1);
  const bool wide = in->dtype == GP_I64;
  const int64_t most = (int64_t)1 << 47; /* GP_MAX_BYTES: no result has more rows */
  int64_t last = -1;
  for (int64_t i = 0; i < in->dims[0]; i++) {
    const int64_t k = index_at(ids, wide, i);
    if (k < 0 || k >= most) return fail(run, GP_ERR_RANGE, i, k, most);
    if (k < last) return fail(run, GP_ERR_ORDER, i, k, last);
    last = k;
  }
  *(int64_t *)arg_ptr(run, insn, 0) = last + 1;
  return GP_OK;
}

const char *segment_count_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 1, 0);
  if (!wrong) wrong = vectors_check(plan, insn, 1);
  if (wrong) return wrong;
  const gp_buf *n = arg_buf(plan, insn, 0);
  if (!is_index(arg_buf(plan, insn, 1)) || n->dtype != GP_I64) return "wrong dtype";
  return n->rank ? "a scalar is expected" : NULL;
}

/* ---- histogram: counts[bins], int32 or int64, of values[n] in equal parts of range[2] ----
 * what lies outside counts for the first or last */

static double number_at(const void *x, int32_t dtype, int64_t i) {
  switch (dtype) {
    case GP_I32:
      return ((const volatile int32_t *)x)[i];
    case GP_I64:
      return (double)((const volatile int64_t *)x)[i];
    case GP_F32:
      return (double)((const volatile float *)x)[i];
    default:
      return ((const volatile double *)x)[i];
  }
}

int histogram_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0), *in = arg_buf(run->plan, insn, 1);
  const int64_t n = in->dims[0], bins = out->dims[0];
  const void *x = arg_ptr(run, insn, 1), *range = arg_ptr(run, insn, 2);
  const double low = number_at(range, in->dtype, 0), high = number_at(range, in->dtype, 1);
  if (!(low < high)) return fail(run, GP_ERR_ORDER, 1, (int64_t)0, 0);
  const double width = (high - low) / (double)bins;
  void *counts = arg_ptr(run, insn, 0);
  memset(counts, 0, (size_t)(bins * gp_itemsize(out->dtype)));
  for (int64_t i = 0; i < n; i++) {
    const double v = number_at(x, in->dtype, i), at = v > low ? (v - low) / width : 0;
    if (v != v) return fail(run, GP_ERR_NAN, i, 0, 0);
    const int64_t k = at < (double)bins ? (int64_t)at : bins - 1;
    if (out->dtype == GP_I64)
      ((int64_t *)counts)[k]++;
    else
      ((int32_t *)counts)[k]++;
  }
  return GP_OK;
}

const char *histogram_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 0);
  if (!wrong) wrong = vectors_check(plan, insn, 0);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *in = arg_buf(plan, insn, 1),
               *range = arg_buf(plan, insn, 2);
  if (!is_index(out) || !(is_index(in) || is_float(in)) || range->dtype != in->dtype)
    return "wrong dtype";
  return range->dims[0] == 2 && out->dims[0] >= 1 ? NULL : "shapes disagree";
}
