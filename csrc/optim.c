/* Optimizer steps, one pass over memory each. Outputs are read and written. All arrays are
 * contiguous and of one float type; the hyper-parameters are scalars (rank 0) of that type. */
#include <math.h>

#include "kernel.h"
#include "simd.h"

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
/* By optimizer: arrays of state a variable has, itself the first; scalars; and where among the
 * inputs the gradient stands. */
static const int n_states[] = {1, 2, 3}, n_numbers[] = {1, 2, 6}, grad_at[] = {1, 1, 6};
enum {
  UPDATE_COLUMNS = PANEL_BYTES / 128, /* of a panel of matmul_update */
  SPANS = 128                         /* variables that are stepped at once */
};
#define INLINE static inline __attribute__((always_inline))

/* Argument number of the gradient of variable i. That of the first stands where the operation has
 * it, the others follow all inputs of the first. */
static inline int gradient_of(const gp_insn *insn, enum optimizer which, int i) {
  return insn->n_out + (i ? n_numbers[which] + i : grad_at[which]);
}

#define T float
#define SUFFIX f32
#include "optim.h"
#define T double
#define SUFFIX f64
#include "optim.h"

static int apply(gp_run *run, const gp_insn *insn, enum optimizer which) {
  const bool nesterov = insn->n_attr && run->plan->attrs[insn->attr];
  if (arg_buf(run->plan, insn, 0)->dtype == GP_F32)
    apply_f32(run, insn, which, nesterov);
  else
    apply_f64(run, insn, which, nesterov);
  return GP_OK;
}

/* `numbers` arguments from `in` on, past `grad`, are scalars of the first output's type. */
static const char *numbers_check(const gp_plan *plan, const gp_insn *insn, int in, int numbers,
                                 int grad) {
  const int32_t dtype = arg_buf(plan, insn, 0)->dtype;
  for (int i = in; numbers > 0; i++) {
    if (i == grad) continue;
    const gp_buf *x = arg_buf(plan, insn, i);
    if (x->dtype != dtype) return "wrong dtype";
    if (x->rank != 0) return "a scalar is expected";
    numbers--;
  }
  return NULL;
}

static const char *apply_check(const gp_plan *plan, const gp_insn *insn, enum optimizer which) {
  const int n_state = n_states[which], n_vars = insn->n_out / n_state;
  if (n_vars < 1) return "wrong number of arguments";
  const char *wrong =
      check_arity(plan, insn, n_vars * n_state, n_numbers[which] + n_vars, which != DESCENT);
  for (int i = 0; i < n_vars && !wrong; i++) {
    const gp_buf *var = arg_buf(plan, insn, i * n_state);
    const gp_buf *grad = arg_buf(plan, insn, gradient_of(insn, which, i));
    wrong = check_float_group(plan, insn, i * n_state, (i + 1) * n_state);
    if (wrong) break;
    if (var->dtype != arg_buf(plan, insn, 0)->dtype || grad->dtype != var->dtype)
      wrong = "wrong dtype";
    else if (!same_dims(grad, var))
      wrong = "shapes disagree";
    else if (!is_contiguous(grad))
      wrong = "an argument is not contiguous";
  }
  if (wrong) return wrong;
  return numbers_check(plan, insn, insn->n_out, n_numbers[which], gradient_of(insn, which, 0));
}

/* One step of any number of variables by the same numbers. The outputs are the state of one
 * variable after another; the gradients of all but the first follow the other inputs. No gradient
 * lies in the state of another variable, no number in any state. */

/* outs var; ins alpha[], delta */
static int apply_gradient_descent_kernel(gp_run *run, const gp_insn *insn) {
  return apply(run, insn, DESCENT);
}
static const char *apply_gradient_descent_check(const gp_plan *plan, const gp_insn *insn) {
  return apply_check(plan, insn, DESCENT);
}

/* outs var, accum; ins lr[], grad, momentum[]; attr use_nesterov */
static int apply_momentum_kernel(gp_run *run, const gp_insn *insn) {
  return apply(run, insn, MOMENTUM);
}
static const char *apply_momentum_check(const gp_plan *plan, const gp_insn *insn) {
  return apply_check(plan, insn, MOMENTUM);
}

/* outs var, m, v; ins beta1_power[], beta2_power[], lr[], beta1[], beta2[], epsilon[], grad; attr
 * use_nesterov */
static int apply_adam_kernel(gp_run *run, const gp_insn *insn) { return apply(run, insn, ADAM); }
static const char *apply_adam_check(const gp_plan *plan, const gp_insn *insn) {
  return apply_check(plan, insn, ADAM);
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
  if (insn->n_attr != 2) return "wrong number of attributes";
  const int64_t which = plan->attrs[insn->attr];
  if (which < DESCENT || which > ADAM) return "no such optimizer";
  const char *wrong = check_arity(plan, insn, n_states[which], 2 + n_numbers[which], 2);
  if (!wrong) wrong = check_float_group(plan, insn, 0, insn->n_out);
  if (!wrong) wrong = numbers_check(plan, insn, insn->n_out + 2, n_numbers[which], -1);
  return wrong ? wrong : product_check(plan, insn, insn->n_out);
}
