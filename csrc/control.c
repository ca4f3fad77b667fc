/* Loops and conditionals: instructions that own those after them (gp_insn.span).
 *
 *   if_else      ins predicate bool[]                     attrs of its own instructions the first
 * so many are run if it holds, else the others while_loop   outs trips i64[]   ins predicate bool[]
 * attrs its own instructions that compute the predicate; the most trips, or -1 scan_loop    outs
 * ys[n, ...] ..., rows x[...] ..., trip i64[]   ins xs[n, ...] ..., rows y[...] ... attrs n, how
 * many xs, whether it goes from the last row to the first; a y that is not wanted is -1
 *
 *   read_row     outs row[...]      ins array[n, ...], index i32 or i64[]
 *   write_row    outs array[n, ...] ins row[...], index i32 or i64[]
 *
 * What goes from one trip to the next lies in buffers that a trip's last instructions overwrite.
 */
#include "kernel.h"
#include "kernels.h"

enum { POLL_NS = 10000000 }; /* how often Ctrl-C is let in */

/* Now and then lets Ctrl-C in. GP_OK, or a status if the run is to end. */
static int poll(gp_run *run, int64_t trip, int64_t *last) {
  if (trip % 64) return GP_OK;
  const int64_t now = gp_now_ns();
  if (now - *last < POLL_NS) return GP_OK;
  *last = now;
  if (!run->host || !run->host(run->host_data, -1)) return GP_OK;
  run->error = (gp_error){.status = GP_ERR_HOST, .insn = -1};
  return GP_ERR_HOST;
}

static const char *predicate_check(const gp_plan *plan, const gp_insn *insn, int64_t first_part) {
  const gp_buf *predicate = arg_buf(plan, insn, insn->n_out);
  if (predicate->dtype != GP_BOOL || count(predicate) != 1) return "a bool scalar is expected";
  if (first_part < 0 || first_part > insn->span) return "a part of its instructions is too long";
  return NULL;
}

int if_else_kernel(gp_run *run, const gp_insn *insn) {
  const int64_t first = insn - run->plan->insns + 1, half = first + run->plan->attrs[insn->attr];
  const bool holds = *(const uint8_t *)arg_ptr(run, insn, 0);
  return holds ? gp_run_range(run, first, half) : gp_run_range(run, half, first + insn->span);
}

const char *if_else_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 0, 1, 1);
  return wrong ? wrong : predicate_check(plan, insn, plan->attrs[insn->attr]);
}

int while_loop_kernel(gp_run *run, const gp_insn *insn) {
  const int64_t *attrs = run->plan->attrs + insn->attr, most = attrs[1];
  const int64_t first = insn - run->plan->insns + 1, half = first + attrs[0];
  int64_t trip = 0, last = gp_now_ns();
  for (;; trip++) {
    int status = gp_run_range(run, first, half);
    if (status) return status;
    if (!*(const uint8_t *)arg_ptr(run, insn, 1) || trip == most) break;
    status = gp_run_range(run, half, first + insn->span);
    if (!status) status = poll(run, trip, &last);
    if (status) return status;
  }
  *(int64_t *)arg_ptr(run, insn, 0) = trip;
  return GP_OK;
}

const char *while_loop_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 1, 2);
  if (wrong) return wrong;
  const gp_buf *trips = arg_buf(plan, insn, 0);
  if (trips->dtype != GP_I64 || count(trips) != 1) return "an int64 scalar is expected";
  return predicate_check(plan, insn, plan->attrs[insn->attr]);
}

/* Row `trip` of argument `whole`, of the size of argument `row`. */
static char *row_of(const gp_run *run, const gp_insn *insn, int whole, int row, int64_t trip,
                    size_t *bytes) {
  const gp_buf *buf = arg_buf(run->plan, insn, row);
  *bytes = (size_t)(count(buf) * gp_itemsize(buf->dtype));
  return (char *)arg_ptr(run, insn, whole) + trip * (int64_t)*bytes;
}

int scan_loop_kernel(gp_run *run, const gp_insn *insn) {
  const int64_t *attrs = run->plan->attrs + insn->attr, n = attrs[0];
  const int64_t first = insn - run->plan->insns + 1;
  const int n_xs = (int)attrs[1], n_ys = insn->n_in - n_xs, xs = insn->n_out;
  int64_t last = gp_now_ns();
  size_t bytes;
  for (int64_t i = 0; i < n; i++) {
    const int64_t trip = attrs[2] ? n - 1 - i : i;
    *(int64_t *)arg_ptr(run, insn, n_ys + n_xs) = trip;
    for (int k = 0; k < n_xs; k++) {
      const char *from = row_of(run, insn, xs + k, n_ys + k, trip, &bytes);
      memcpy(arg_ptr(run, insn, n_ys + k), from, bytes);
    }
    int status = gp_run_range(run, first, first + insn->span);
    if (!status) status = poll(run, i, &last);
    if (status) return status;
    for (int k = 0; k < n_ys; k++) {
      if (!arg_wanted(run->plan, insn, k)) continue;
      char *to = row_of(run, insn, k, xs + n_xs + k, trip, &bytes);
      memcpy(to, arg_ptr(run, insn, xs + n_xs + k), bytes);
    }
  }
  return GP_OK;
}

/* Whether `whole` is n rows like `row`, both without gaps. */
static const char *rows_check(const gp_buf *whole, const gp_buf *row, int64_t n) {
  if (whole->dtype != row->dtype) return "wrong dtype";
  if (whole->rank != row->rank + 1 || whole->dims[0] != n) return "shapes disagree";
  for (int i = 0; i < row->rank; i++)
    if (whole->dims[i + 1] != row->dims[i]) return "shapes disagree";
  if (!is_contiguous(whole) || !is_contiguous(row)) return "an argument is not contiguous";
  return NULL;
}

const char *scan_loop_check(const gp_plan *plan, const gp_insn *insn) {
  if (insn->n_attr != 3) return "wrong number of attributes";
  const int64_t n = plan->attrs[insn->attr], n_xs = plan->attrs[insn->attr + 1];
  if (n < 0) return "a negative number of trips";
  if (n_xs < 0 || n_xs > insn->n_in || insn->n_out != insn->n_in + 1)
    return "wrong number of arguments";
  const int n_ys = insn->n_in - (int)n_xs;
  for (int k = n_ys; k < insn->n_out; k++)
    if (!arg_wanted(plan, insn, k)) return "an argument is missing";
  const gp_buf *trip = arg_buf(plan, insn, insn->n_out - 1);
  if (trip->dtype != GP_I64 || count(trip) != 1) return "an int64 scalar is expected";
  for (int k = 0; k < n_ys; k++) {
    if (!arg_wanted(plan, insn, k)) continue;
    const gp_buf *row = arg_buf(plan, insn, insn->n_out + (int)n_xs + k);
    const char *wrong = rows_check(arg_buf(plan, insn, k), row, n);
    if (wrong) return wrong;
  }
  for (int k = 0; k < n_xs; k++) {
    const gp_buf *row = arg_buf(plan, insn, n_ys + k);
    const char *wrong = rows_check(arg_buf(plan, insn, insn->n_out + k), row, n);
    if (wrong) return wrong;
  }
  return NULL;
}

/* ---- rows of arrays, which a loop reads and writes one at a time ---- */

static int64_t index_of(const gp_run *run, const gp_insn *insn) {
  const void *p = arg_ptr(run, insn, 2);
  return arg_buf(run->plan, insn, 2)->dtype == GP_I32 ? *(const int32_t *)p : *(const int64_t *)p;
}

int read_row_kernel(gp_run *run, const gp_insn *insn) {
  const int64_t i = index_of(run, insn), n = arg_buf(run->plan, insn, 1)->dims[0];
  size_t bytes;
  if ((uint64_t)i >= (uint64_t)n) return fail(run, GP_ERR_RANGE, 0, i, n);
  const char *row = row_of(run, insn, 1, 0, i, &bytes);
  memcpy(arg_ptr(run, insn, 0), row, bytes);
  return GP_OK;
}

int write_row_kernel(gp_run *run, const gp_insn *insn) {
  const int64_t i = index_of(run, insn), n = arg_buf(run->plan, insn, 0)->dims[0];
  size_t bytes;
  if ((uint64_t)i >= (uint64_t)n) return fail(run, GP_ERR_RANGE, 0, i, n);
  char *row = row_of(run, insn, 0, 1, i, &bytes);
  memmove(row, arg_ptr(run, insn, 1), bytes);
  return GP_OK;
}

static const char *row_check(const gp_plan *plan, const gp_insn *insn, int whole) {
  const char *wrong = check_arity(plan, insn, 1, 2, 0);
  if (wrong) return wrong;
  const gp_buf *array = arg_buf(plan, insn, whole), *index = arg_buf(plan, insn, 2);
  if (!is_index(index) || count(index) != 1) return "an index is expected";
  if (array->rank < 1) return "an array of rows is expected";
  return rows_check(array, arg_buf(plan, insn, 1 - whole), array->dims[0]);
}

const char *read_row_check(const gp_plan *plan, const gp_insn *insn) {
  return row_check(plan, insn, 1);
}

const char *write_row_check(const gp_plan *plan, const gp_insn *insn) {
  return row_check(plan, insn, 0);
}
