/* Optimizer steps, one pass over memory each. Outputs are read and written. All arrays are
 * contiguous and of one float type; the hyper-parameters are scalars (rank 0) of that type. */
#include <math.h>

#include "kernel.h"
#include "vmath.h"

/* Adam divides by a root, and the divider does both: the root by multiplications leaves it half the
 * work. Measured: 1.35 times faster with float32 at v4 (where the hardware's root costs twice as
 * many cycles as at v3), and 1.4 to 2 times with float64; until memory is the limit. */
#if defined(__AVX512F__)
#define root_f32 newton_sqrt_f32
#else
#define root_f32 sqrtf
#endif
#if defined(__AVX2__)
#define root_f64 newton_sqrt_f64
#else
#define root_f64 sqrt
#endif
enum optimizer { DESCENT, MOMENTUM, ADAM };
enum { UPDATE_COLUMNS = PANEL_BYTES / 128 }; /* of a panel of matmul_update */

#define T float
#define SUFFIX f32
#include "optim.h"
#define T double
#define SUFFIX f64
#include "optim.h"

static int apply(gp_run *run, const gp_insn *insn, enum optimizer which, int grad) {
  const gp_buf *var = arg_buf(run->plan, insn, 0);
  const bool nesterov = insn->n_attr && run->plan->attrs[insn->attr];
  if (var->dtype == GP_F32)
    apply_f32(run, insn, which, nesterov, grad, count(var));
  else
    apply_f64(run, insn, which, nesterov, grad, count(var));
  return GP_OK;
}

/* n_state outputs and input `grad` (its argument number) are arrays, every other input from `in` on
 * a scalar. */
static const char *optim_check(const gp_plan *plan, const gp_insn *insn, int in, int grad) {
  const char *wrong = check_float_group(plan, insn, 0, insn->n_out);
  if (wrong) return wrong;
  const gp_buf *var = arg_buf(plan, insn, 0);
  for (int i = in; i < insn->n_out + insn->n_in; i++) {
    const gp_buf *x = arg_buf(plan, insn, i);
    if (x->dtype != var->dtype) return "wrong dtype";
    if (i != grad && x->rank != 0) return "a scalar is expected";
    if (i == grad && !same_dims(x, var)) return "shapes disagree";
    if (i == grad && !is_contiguous(x)) return "an argument is not contiguous";
  }
  return NULL;
}

/* outs var; ins alpha[], delta */
static int apply_gradient_descent_kernel(gp_run *run, const gp_insn *insn) {
  return apply(run, insn, DESCENT, 2);
}
static const char *apply_gradient_descent_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 0);
  return wrong ? wrong : optim_check(plan, insn, 1, 2);
}

/* outs var, accum; ins lr[], grad, momentum[]; attr use_nesterov */
static int apply_momentum_kernel(gp_run *run, const gp_insn *insn) {
  return apply(run, insn, MOMENTUM, 3);
}
static const char *apply_momentum_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 2, 3, 1);
  return wrong ? wrong : optim_check(plan, insn, 2, 3);
}

/* outs var, m, v; ins beta1_power[], beta2_power[], lr[], beta1[], beta2[], epsilon[], grad; attr
 * use_nesterov */
static int apply_adam_kernel(gp_run *run, const gp_insn *insn) { return apply(run, insn, ADAM, 9); }
static const char *apply_adam_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 3, 7, 1);
  return wrong ? wrong : optim_check(plan, insn, 3, 9);
}

/* matmul_update: one of these with grad[m, n] = a[m, k] b[k, n], a panel at a time; the gradient
 * never goes to memory. outs the state [m, n]; ins a, b, then the numbers of the apply kernel in
 * their order; attrs which (enum optimizer), use_nesterov */
static int matmul_update_kernel(gp_run *run, const gp_insn *insn) {
  const int64_t *attrs = run->plan->attrs + insn->attr;
  if (arg_buf(run->plan, insn, 0)->dtype == GP_F32)
    update_by_product_f32(run, insn, (enum optimizer)attrs[0], attrs[1]);
  else
    update_by_product_f64(run, insn, (enum optimizer)attrs[0], attrs[1]);
  return GP_OK;
}

static const char *matmul_update_check(const gp_plan *plan, const gp_insn *insn) {
  static const int n_state[] = {1, 2, 3}, n_numbers[] = {1, 2, 6};
  if (insn->n_attr != 2) return "wrong number of attributes";
  const int64_t which = plan->attrs[insn->attr];
  if (which < DESCENT || which > ADAM) return "no such optimizer";
  const char *wrong = check_arity(plan, insn, n_state[which], 2 + n_numbers[which], 2);
  if (!wrong) wrong = optim_check(plan, insn, insn->n_out + 2, -1);
  return wrong ? wrong : product_check(plan, insn, insn->n_out);
}
