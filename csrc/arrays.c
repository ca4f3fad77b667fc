/* Windows at places that only a run can tell, reversed sequences, and ranges. */
#include "kernel.h"

/* ---- a window of an array, from a start on each of some axes ----
 *
 * slice_at:  out[window] = x from the window's start on;   out, then x, start_0, start_1, ...
 * paste_at:  the window of out = dy, the rest stays;       out, then dy, start_0, start_1, ...
 *
 * attrs: whether negative starts count from the end, then the axis of each start. */

typedef struct {
  const gp_buf *whole, *window;
  int whole_at, window_at; /* numbers of the arguments */
} at_args;

static at_args at_of(const gp_plan *plan, const gp_insn *insn, bool paste) {
  const gp_buf *out = arg_buf(plan, insn, 0), *in = arg_buf(plan, insn, 1);
  return paste ? (at_args){out, in, 0, 1} : (at_args){in, out, 1, 0};
}

static const char *at_check(const gp_plan *plan, const gp_insn *insn, bool paste) {
  if (insn->n_out != 1 || insn->n_in < 2) return "wrong number of arguments";
  if (insn->n_attr != insn->n_in) return "wrong number of attributes";
  for (int i = 0; i < insn->n_out + insn->n_in; i++)
    if (!arg_wanted(plan, insn, i)) return "an argument is missing";
  const at_args a = at_of(plan, insn, paste);
  if (a.whole->dtype != a.window->dtype) return "wrong dtype";
  if (a.whole->rank != a.window->rank) return "shapes disagree";
  for (int d = 0; d < a.whole->rank; d++)
    if (a.window->dims[d] > a.whole->dims[d]) return "shapes disagree";
  if (!is_contiguous(a.window)) return "an argument is not contiguous";
  uint64_t seen = 0;
  for (int i = 2; i < 1 + insn->n_in; i++) {
    const int64_t axis = plan->attrs[insn->attr + i - 1];
    if (axis < 0 || axis >= a.whole->rank || seen >> axis & 1) return "bad axis";
    seen |= (uint64_t)1 << axis;
    if (!is_index(arg_buf(plan, insn, i))) return "wrong dtype";
    if (arg_buf(plan, insn, i)->rank != 0) return "a start is a scalar";
  }
  return NULL;
}

const char *slice_at_check(const gp_plan *plan, const gp_insn *insn) {
  return at_check(plan, insn, false);
}
const char *paste_at_check(const gp_plan *plan, const gp_insn *insn) {
  return at_check(plan, insn, true);
}

/* n elements between p, with a step, and q, without one. */
#define MOVE(type)                                  \
  for (int64_t i = 0; i < n; i++) {                 \
    if (paste)                                      \
      ((type *)p)[i * step] = ((const type *)q)[i]; \
    else                                            \
      ((type *)q)[i] = ((const type *)p)[i * step]; \
  }                                                 \
  break;
static void move_row(char *p, char *q, int64_t n, int64_t step, int64_t size, bool paste) {
  if (step == 1 || n == 1) {
    memcpy(paste ? p : q, paste ? q : p, (size_t)(n * size));
    return;
  }
  switch (size) {
    case 1:
      MOVE(uint8_t)
    case 2:
      MOVE(uint16_t)
    case 4:
      MOVE(uint32_t)
    default:
      MOVE(uint64_t)
  }
}

static int at_kernel(gp_run *run, const gp_insn *insn, bool paste) {
  const gp_plan *plan = run->plan;
  const at_args a = at_of(plan, insn, paste);
  const int64_t *attrs = plan->attrs + insn->attr;
  const int64_t size = gp_itemsize(a.whole->dtype), total = count(a.window);
  int64_t offset = 0;
  for (int i = 2; i < 1 + insn->n_in; i++) {
    const int64_t axis = attrs[i - 1], dim = a.whole->dims[axis];
    const void *start = arg_ptr(run, insn, i);
    const int64_t given = arg_buf(plan, insn, i)->dtype == GP_I64
                              ? *(const volatile int64_t *)start
                              : *(const volatile int32_t *)start;
    const int64_t last = dim - a.window->dims[axis];
    const int64_t from = attrs[0] && given < 0 ? given + dim : given;
    if (from < 0 || from > last) return fail(run, GP_ERR_RANGE, axis, given, last + 1);
    offset += from * a.whole->strides[axis];
  }
  if (total == 0) return GP_OK;
  /* The innermost dims that have no gaps in the whole are one row. */
  int inner = a.window->rank;
  int64_t n = 1, step = 1;
  while (inner > 0 && (a.window->dims[inner - 1] == 1 || a.whole->strides[inner - 1] == n)) {
    inner--;
    n *= a.window->dims[inner];
  }
  if (n == 1 && inner > 0) {
    inner--;
    n = a.window->dims[inner], step = a.whole->strides[inner];
  }
  char *p = (char *)arg_ptr(run, insn, a.whole_at), *q = arg_ptr(run, insn, a.window_at);
  int64_t at[GP_MAX_RANK] = {0};
  for (int64_t done = 0; done < total; done += n) {
    move_row(p + offset * size, q + done * size, n, step, size, paste);
    for (int d = inner - 1; d >= 0; d--) {
      offset += a.whole->strides[d];
      if (++at[d] < a.window->dims[d]) break;
      offset -= at[d] * a.whole->strides[d];
      at[d] = 0;
    }
  }
  return GP_OK;
}

int slice_at_kernel(gp_run *run, const gp_insn *insn) { return at_kernel(run, insn, false); }
int paste_at_kernel(gp_run *run, const gp_insn *insn) { return at_kernel(run, insn, true); }

/* ---- reverse_sequence ----
 *
 * out, x [A, B, C, D, E] of which B and D are the batch and the time or, with attribute 1, the time
 * and the batch; lengths [batch]: the first lengths[i] steps of example i are reversed. */

const char *reverse_sequence_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 1);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *x = arg_buf(plan, insn, 1),
               *lengths = arg_buf(plan, insn, 2);
  const int64_t swapped = plan->attrs[insn->attr];
  if (out->dtype != x->dtype || !is_index(lengths)) return "wrong dtype";
  if (swapped != 0 && swapped != 1) return "bad attribute";
  if (x->rank != 5 || !same_dims(out, x) || lengths->rank != 1 ||
      lengths->dims[0] != x->dims[swapped ? 3 : 1])
    return "shapes disagree";
  if (!is_contiguous(out) || !is_contiguous(x) || !is_contiguous(lengths))
    return "an argument is not contiguous";
  return NULL;
}

int reverse_sequence_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *x = arg_buf(run->plan, insn, 1), *lengths = arg_buf(run->plan, insn, 2);
  const bool swapped = run->plan->attrs[insn->attr], wide = lengths->dtype == GP_I64;
  const int64_t *dims = x->dims;
  const int64_t batch = lengths->dims[0], steps = dims[swapped ? 1 : 3];
  const void *given = arg_ptr(run, insn, 2);
#define LENGTH(i) \
  (wide ? ((const volatile int64_t *)given)[i] : ((const volatile int32_t *)given)[i])
  for (int64_t i = 0; i < batch; i++)
    if (LENGTH(i) < 0 || LENGTH(i) > steps) return fail(run, GP_ERR_RANGE, i, LENGTH(i), steps + 1);
  const int64_t bytes = dims[4] * gp_itemsize(x->dtype);
  const char *from = arg_ptr(run, insn, 1);
  char *to = arg_ptr(run, insn, 0);
  if (count(x) == 0) return GP_OK;
  for (int64_t a = 0; a < dims[0]; a++)
    for (int64_t b = 0; b < dims[1]; b++)
      for (int64_t c = 0; c < dims[2]; c++)
        for (int64_t d = 0; d < dims[3]; d++) {
          int64_t t = swapped ? b : d;
          const int64_t n = min_i64(LENGTH(swapped ? d : b), steps); /* it is the caller's memory */
          if (t < n) t = n - 1 - t;
          const int64_t row = swapped ? ((a * dims[1] + t) * dims[2] + c) * dims[3] + d
                                      : ((a * dims[1] + b) * dims[2] + c) * dims[3] + t;
          memcpy(to, from + row * bytes, (size_t)bytes);
          to += bytes;
        }
  return GP_OK;
}

/* ---- range: out [n], attributes start and step, int64 or the bits of doubles ---- */

const char *range_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 0, 2);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0);
  if (!is_index(out) && !is_float(out)) return "wrong dtype";
  return is_contiguous(out) ? NULL : "an argument is not contiguous";
}

int range_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *buf = arg_buf(run->plan, insn, 0);
  const int64_t *attrs = run->plan->attrs + insn->attr, n = count(buf);
  void *out = arg_ptr(run, insn, 0);
  double from, by;
  memcpy(&from, attrs, sizeof from);
  memcpy(&by, attrs + 1, sizeof by);
  const uint64_t first = (uint64_t)attrs[0], step = (uint64_t)attrs[1]; /* integers wrap */
  switch (buf->dtype) {
    case GP_I32:
      for (int64_t i = 0; i < n; i++) ((int32_t *)out)[i] = (int32_t)(first + (uint64_t)i * step);
      break;
    case GP_I64:
      for (int64_t i = 0; i < n; i++) ((int64_t *)out)[i] = (int64_t)(first + (uint64_t)i * step);
      break;
    case GP_F32:
      for (int64_t i = 0; i < n; i++) ((float *)out)[i] = (float)(from + (double)i * by);
      break;
    case GP_F64:
      for (int64_t i = 0; i < n; i++) ((double *)out)[i] = from + (double)i * by;
      break;
  }
  return GP_OK;
}
