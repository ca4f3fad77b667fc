/* Softmax, log-softmax and the two softmax cross-entropies, over the rows of a matrix [m, n]. */
#include "kernel.h"
#include "vmath.h"

enum { PANEL = 1024 }; /* elements of scratch: many short rows, or a piece of a long one */

static inline int64_t label_at(const void *labels, bool wide, int64_t i) {
  return wide ? ((const volatile int64_t *)labels)[i] : ((const volatile int32_t *)labels)[i];
}

#define T float
#define SUFFIX f32
#include "softmax.h"
#define T double
#define SUFFIX f64
#include "softmax.h"

static int softmax_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 1);
  const int64_t m = in->dims[0], n = in->dims[1];
  if (m == 0 || n == 0) return GP_OK;
  if (in->dtype == GP_F32)
    softmax_f32(arg_ptr(run, insn, 1), m, n, arg_ptr(run, insn, 0));
  else
    softmax_f64(arg_ptr(run, insn, 1), m, n, arg_ptr(run, insn, 0));
  return GP_OK;
}

static int log_softmax_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 1);
  const int64_t m = in->dims[0], n = in->dims[1];
  if (m == 0 || n == 0) return GP_OK;
  if (in->dtype == GP_F32)
    log_softmax_f32(arg_ptr(run, insn, 1), m, n, arg_ptr(run, insn, 0));
  else
    log_softmax_f64(arg_ptr(run, insn, 1), m, n, arg_ptr(run, insn, 0));
  return GP_OK;
}

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

static int softmax_xent_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 2);
  const int64_t m = in->dims[0], n = in->dims[1];
  void *loss = wanted_ptr(run, insn, 0), *backprop = wanted_ptr(run, insn, 1);
  if (m == 0) return GP_OK;
  if (n == 0) { /* the sum of nothing */
    if (loss) memset(loss, 0, (size_t)(m * gp_itemsize(in->dtype)));
    return GP_OK;
  }
  if (in->dtype == GP_F32)
    xent_f32(arg_ptr(run, insn, 2), arg_ptr(run, insn, 3), m, n, loss, backprop);
  else
    xent_f64(arg_ptr(run, insn, 2), arg_ptr(run, insn, 3), m, n, loss, backprop);
  return GP_OK;
}

static int sparse_softmax_xent_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 2);
  const int64_t m = in->dims[0], n = in->dims[1];
  const bool wide = arg_buf(run->plan, insn, 3)->dtype == GP_I64;
  const void *labels = arg_ptr(run, insn, 3);
  void *loss = wanted_ptr(run, insn, 0), *backprop = wanted_ptr(run, insn, 1);
  const int64_t bad =
      in->dtype == GP_F32
          ? sparse_xent_f32(arg_ptr(run, insn, 2), labels, wide, m, n, loss, backprop)
          : sparse_xent_f64(arg_ptr(run, insn, 2), labels, wide, m, n, loss, backprop);
  return bad < 0 ? GP_OK : fail(run, GP_ERR_RANGE, bad, label_at(labels, wide, bad), n);
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
