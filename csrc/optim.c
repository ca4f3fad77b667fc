/* Optimizer steps, one pass over memory each. Outputs are read and written. All arrays are
 * contiguous and of one float type; the hyper-parameters are scalars (rank 0) of that type. */
#include <math.h>

#include "kernel.h"

#define root_f32 sqrtf
#define root_f64 sqrt
#define T float
#define SUFFIX f32
#include "optim.h"
#define T double
#define SUFFIX f64
#include "optim.h"

#define OPTIMIZER(kernel, step)                         \
  static int kernel(gp_run *run, const gp_insn *insn) { \
    const gp_buf *var = arg_buf(run->plan, insn, 0);    \
    if (var->dtype == GP_F32)                           \
      step##_f32(run, insn, count(var));                \
    else                                                \
      step##_f64(run, insn, count(var));                \
    return GP_OK;                                       \
  }
OPTIMIZER(apply_gradient_descent_kernel, run_descend)
OPTIMIZER(apply_momentum_kernel, run_momentum)
OPTIMIZER(apply_adam_kernel, run_adam)

/* n_state outputs and input `grad` (its argument number) are arrays, every other input a scalar. */
static const char *optim_check(const gp_plan *plan, const gp_insn *insn, int n_state, int n_in,
                               int grad, int n_attr) {
  const char *wrong = check_arity(plan, insn, n_state, n_in, n_attr);
  if (!wrong) wrong = check_float_group(plan, insn, 0, n_state);
  if (!wrong) wrong = check_float_group(plan, insn, grad, grad + 1);
  if (wrong) return wrong;
  const gp_buf *var = arg_buf(plan, insn, 0);
  if (!same_dims(arg_buf(plan, insn, grad), var)) return "shapes disagree";
  for (int i = n_state; i < n_state + n_in; i++) {
    if (arg_buf(plan, insn, i)->dtype != var->dtype) return "wrong dtype";
    if (i != grad && arg_buf(plan, insn, i)->rank != 0) return "a scalar is expected";
  }
  return NULL;
}

static const char *apply_gradient_descent_check(const gp_plan *plan, const gp_insn *insn) {
  return optim_check(plan, insn, 1, 2, 2, 0);
}
static const char *apply_momentum_check(const gp_plan *plan, const gp_insn *insn) {
  return optim_check(plan, insn, 2, 3, 3, 1);
}
static const char *apply_adam_check(const gp_plan *plan, const gp_insn *insn) {
  return optim_check(plan, insn, 3, 7, 9, 1);
}
