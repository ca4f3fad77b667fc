/* Moving the entries of sparse tensors, given by indices [nnz, rank] and values:
 *
 *   sparse_gather   outs y[nnz, slice]     ins x[dims, slice], indices[nnz, r]
 *   sparse_set      outs y[dims]           ins indices[nnz, r], values[nnz] or [1]
 *                   y = values there; attr: 1 if the indices must be in order, without repetition
 *   sparse_order    outs order[nnz], scratch[nnz]                ins indices[nnz, r]
 *                   the numbers of the entries in the order of their indices; equals stay
 *   sparse_unique   outs number[nnz], first[nnz], count[]        ins indices[nnz, r], order[nnz]
 *                   numbers equal entries alike, in that order; the first entry of each number
 *   sparse_where    outs where[n], count[]                       ins mask[n]
 *
 * What is beyond the count of a result is 0.
 */
#include "index.h"
#include "kernel.h"
#include "kernels.h"

typedef struct {
  const char *indices;
  bool wide;
  int64_t nnz, r;
} entries;

static entries entries_of(const gp_run *run, const gp_insn *insn, int i) {
  const gp_buf *b = arg_buf(run->plan, insn, i);
  return (entries){arg_ptr(run, insn, i), b->dtype == GP_I64, b->dims[0], b->dims[1]};
}

static int check_range(gp_run *run, const entries *t, const int64_t *dims) {
  for (int64_t e = 0; e < t->nnz; e++)
    for (int64_t c = 0; c < t->r; c++) {
      const int64_t i = index_at(t->indices, t->wide, e * t->r + c);
      if ((uint64_t)i >= (uint64_t)dims[c])
        return fail(run, GP_ERR_RANGE, e * t->r + c, i, dims[c]);
    }
  return GP_OK;
}

static const char *check_entries(const gp_plan *plan, const gp_insn *insn, int i) {
  const gp_buf *indices = arg_buf(plan, insn, i);
  if (!is_index(indices)) return "wrong dtype";
  if (indices->rank != 2) return "a matrix is expected";
  return is_contiguous(indices) ? NULL : "an argument is not contiguous";
}

/* A vector of n int64 without gaps, or a scalar for n = -1. */
static const char *check_numbers(const gp_plan *plan, const gp_insn *insn, int i, int64_t n) {
  const gp_buf *b = arg_buf(plan, insn, i);
  if (b->dtype != GP_I64) return "wrong dtype";
  if (b->rank != (n >= 0) || (n >= 0 && b->dims[0] != n)) return "shapes disagree";
  return is_contiguous(b) ? NULL : "an argument is not contiguous";
}

/* ---- there and back ---- */

typedef struct {
  entries t;
  const gp_buf *x;
  const char *from;
  char *y;
  int64_t size, bytes, step;
} gather_job;

static void gather_task(void *ctx, int64_t task) {
  const gather_job *j = ctx;
  const int64_t end = min_i64((task + 1) * j->step, j->t.nnz), size = j->size;
  for (int64_t e = task * j->step; e < end; e++) {
    int64_t at = 0;
    for (int64_t c = 0; c < j->t.r; c++)
      at += index_at(j->t.indices, j->t.wide, e * j->t.r + c) * j->x->strides[c];
    const char *from = j->from + at * size;
    char *to = j->y + e * j->bytes;
    if (j->bytes == 4)
      memcpy(to, from, 4);
    else if (j->bytes == 8)
      memcpy(to, from, 8);
    else
      memcpy(to, from, (size_t)j->bytes);
  }
}

int sparse_gather_kernel(gp_run *run, const gp_insn *insn) {
  gather_job j = {.t = entries_of(run, insn, 2), .x = arg_buf(run->plan, insn, 1)};
  j.from = arg_ptr(run, insn, 1);
  j.y = arg_ptr(run, insn, 0);
  j.size = j.bytes = gp_itemsize(j.x->dtype);
  for (int64_t d = j.t.r; d < j.x->rank; d++) j.bytes *= j.x->dims[d];
  const int rc = check_range(run, &j.t, j.x->dims);
  if (rc || j.t.nnz == 0 || j.bytes == 0) return rc;
  j.step = j.t.nnz;
  if (j.t.nnz * j.bytes >= GP_PARALLEL << 3) j.step = piece_of(j.t.nnz, 64, MAX_TASKS);
  gp_parallel(run->threads, (j.t.nnz + j.step - 1) / j.step, gather_task, &j);
  return GP_OK;
}

const char *sparse_gather_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 0);
  if (!wrong) wrong = check_entries(plan, insn, 2);
  if (wrong) return wrong;
  const gp_buf *y = arg_buf(plan, insn, 0), *x = arg_buf(plan, insn, 1);
  const gp_buf *indices = arg_buf(plan, insn, 2);
  const int64_t r = indices->dims[1];
  if (y->dtype != x->dtype) return "wrong dtype";
  if (r > x->rank || y->rank != 1 + x->rank - r || y->dims[0] != indices->dims[0])
    return "shapes disagree";
  int64_t step = 1;
  for (int d = x->rank - 1; d >= r; step *= x->dims[d--]) {
    if (y->dims[1 + d - r] != x->dims[d]) return "shapes disagree";
    if (x->dims[d] > 1 && x->strides[d] != step) return "an argument is not contiguous";
  }
  return is_contiguous(y) ? NULL : "an argument is not contiguous";
}

int sparse_set_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *y = arg_buf(run->plan, insn, 0);
  const entries t = entries_of(run, insn, 1);
  const int64_t size = gp_itemsize(y->dtype);
  const int64_t each = arg_buf(run->plan, insn, 2)->dims[0] == t.nnz ? size : 0;
  const char *v = arg_ptr(run, insn, 2);
  char *out = arg_ptr(run, insn, 0);
  const int rc = check_range(run, &t, y->dims);
  if (rc) return rc;
  int64_t last = -1;
  for (int64_t e = 0; e < t.nnz; e++) {
    int64_t at = 0;
    for (int64_t c = 0; c < t.r; c++)
      at = at * y->dims[c] + index_at(t.indices, t.wide, e * t.r + c);
    if (run->plan->attrs[insn->attr] && at <= last) return fail(run, GP_ERR_ROWS, e, 0, 0);
    last = at;
    memcpy(out + at * size, v + e * each, (size_t)size);
  }
  return GP_OK;
}

const char *sparse_set_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 1);
  if (!wrong) wrong = check_entries(plan, insn, 1);
  if (wrong) return wrong;
  const gp_buf *y = arg_buf(plan, insn, 0), *indices = arg_buf(plan, insn, 1);
  const gp_buf *v = arg_buf(plan, insn, 2);
  if (y->dtype != v->dtype) return "wrong dtype";
  if (v->rank != 1 || (v->dims[0] != indices->dims[0] && v->dims[0] != 1) ||
      indices->dims[1] != y->rank)
    return "shapes disagree";
  return is_contiguous(y) && is_contiguous(v) ? NULL : "an argument is not contiguous";
}

/* ---- order ---- */

static int compare(const entries *t, int64_t a, int64_t b) {
  for (int64_t c = 0; c < t->r; c++) {
    const int64_t x = index_at(t->indices, t->wide, a * t->r + c);
    const int64_t y = index_at(t->indices, t->wide, b * t->r + c);
    if (x != y) return x < y ? -1 : 1;
  }
  return 0;
}

/* Merges ever longer runs, from one array into the other. */
int sparse_order_kernel(gp_run *run, const gp_insn *insn) {
  const entries t = entries_of(run, insn, 2);
  int64_t *const out = arg_ptr(run, insn, 0);
  int64_t *from = out, *to = arg_ptr(run, insn, 1);
  const int64_t n = t.nnz;
  bool sorted = true;
  for (int64_t e = 0; e < n; e++) {
    from[e] = e;
    if (e) sorted = sorted && compare(&t, e - 1, e) <= 0;
  }
  for (int64_t width = 1; !sorted && width < n; width *= 2) {
    for (int64_t start = 0; start < n; start += 2 * width) {
      const int64_t middle = min_i64(start + width, n), end = min_i64(start + 2 * width, n);
      int64_t a = start, b = middle;
      for (int64_t k = start; k < end; k++)
        to[k] =
            a < middle && (b >= end || compare(&t, from[a], from[b]) <= 0) ? from[a++] : from[b++];
    }
    int64_t *const swap = from;
    from = to;
    to = swap;
  }
  if (from != out) memcpy(out, from, (size_t)n * sizeof *out);
  return GP_OK;
}

const char *sparse_order_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 2, 1, 0);
  if (!wrong) wrong = check_entries(plan, insn, 2);
  for (int i = 0; i < 2 && !wrong; i++)
    wrong = check_numbers(plan, insn, i, arg_buf(plan, insn, 2)->dims[0]);
  return wrong;
}

int sparse_unique_kernel(gp_run *run, const gp_insn *insn) {
  const entries t = entries_of(run, insn, 3);
  int64_t *number = arg_ptr(run, insn, 0), *first = arg_ptr(run, insn, 1);
  const int64_t *order = arg_ptr(run, insn, 4);
  int64_t count = 0;
  for (int64_t k = 0; k < t.nnz; k++)
    if ((uint64_t)order[k] >= (uint64_t)t.nnz) return fail(run, GP_ERR_RANGE, k, order[k], t.nnz);
  for (int64_t k = 0; k < t.nnz; k++) {
    const int64_t e = order[k];
    if (k == 0 || compare(&t, order[k - 1], e)) first[count++] = e;
    number[e] = count - 1;
  }
  memset(first + count, 0, (size_t)(t.nnz - count) * sizeof *first);
  *(int64_t *)arg_ptr(run, insn, 2) = count;
  return GP_OK;
}

const char *sparse_unique_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 3, 2, 0);
  if (!wrong) wrong = check_entries(plan, insn, 3);
  if (wrong) return wrong;
  const int64_t n = arg_buf(plan, insn, 3)->dims[0], sizes[] = {n, n, -1, -1, n};
  for (int i = 0; i < 5 && !wrong; i++)
    if (i != 3) wrong = check_numbers(plan, insn, i, sizes[i]);
  return wrong;
}

int sparse_where_kernel(gp_run *run, const gp_insn *insn) {
  const int64_t n = arg_buf(run->plan, insn, 2)->dims[0];
  const uint8_t *mask = arg_ptr(run, insn, 2);
  int64_t *where = arg_ptr(run, insn, 0), count = 0;
  for (int64_t i = 0; i < n; i++)
    if (mask[i]) where[count++] = i;
  memset(where + count, 0, (size_t)(n - count) * sizeof *where);
  *(int64_t *)arg_ptr(run, insn, 1) = count;
  return GP_OK;
}

const char *sparse_where_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 2, 1, 0);
  if (wrong) return wrong;
  const gp_buf *mask = arg_buf(plan, insn, 2);
  if (mask->dtype != GP_BOOL) return "wrong dtype";
  if (mask->rank != 1) return "a vector is expected";
  if (!is_contiguous(mask)) return "an argument is not contiguous";
  wrong = check_numbers(plan, insn, 0, mask->dims[0]);
  return wrong ? wrong : check_numbers(plan, insn, 1, -1);
}
