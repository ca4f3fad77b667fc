/* The optimizer steps for one float type; included by optim.c once for each with T and SUFFIX. */
#define FN(name) PASTE(name, SUFFIX)

static void FN(descend)(int64_t n, T *var, T alpha, const T *delta) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) var[i] -= alpha * delta[i];
}

static void FN(momentum)(int64_t n, T *var, T *accum, T lr, const T *grad, T mu, bool nesterov) {
  if (nesterov) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) {
      accum[i] = mu * accum[i] + grad[i];
      var[i] -= grad[i] * lr + accum[i] * mu * lr;
    }
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) {
      accum[i] = mu * accum[i] + grad[i];
      var[i] -= lr * accum[i];
    }
  }
}

/* Adam as TensorFlow 1 has it: epsilon is added to the uncorrected root of v. */
static void FN(adam)(int64_t n, T *var, T *m, T *v, T alpha, T beta1, T beta2, T epsilon,
                     const T *grad, bool nesterov) {
  const T rest1 = 1 - beta1, rest2 = 1 - beta2;
  if (nesterov) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) {
      const T g = grad[i], mi = m[i] + (g - m[i]) * rest1, vi = v[i] + (g * g - v[i]) * rest2;
      m[i] = mi;
      v[i] = vi;
      var[i] -= (g * rest1 + beta1 * mi) * alpha / (FN(root)(vi) + epsilon);
    }
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) {
      const T g = grad[i], mi = m[i] + (g - m[i]) * rest1, vi = v[i] + (g * g - v[i]) * rest2;
      m[i] = mi;
      v[i] = vi;
      var[i] -= mi * alpha / (FN(root)(vi) + epsilon);
    }
  }
}

#define ARRAY(i) ((T *)arg_ptr(run, insn, i))
#define SCALAR(i) (*ARRAY(i))

/* outs var; ins alpha[], delta */
static void FN(run_descend)(gp_run *run, const gp_insn *insn, int64_t n) {
  FN(descend)(n, ARRAY(0), SCALAR(1), ARRAY(2));
}

/* outs var, accum; ins lr[], grad, momentum[]; attr use_nesterov */
static void FN(run_momentum)(gp_run *run, const gp_insn *insn, int64_t n) {
  const bool nesterov = run->plan->attrs[insn->attr];
  FN(momentum)(n, ARRAY(0), ARRAY(1), SCALAR(2), ARRAY(3), SCALAR(4), nesterov);
}

/* outs var, m, v; ins beta1_power[], beta2_power[], lr[], beta1[], beta2[], epsilon[], grad; attr
 * use_nesterov */
static void FN(run_adam)(gp_run *run, const gp_insn *insn, int64_t n) {
  const bool nesterov = run->plan->attrs[insn->attr];
  const T alpha = SCALAR(5) * FN(root)(1 - SCALAR(4)) / (1 - SCALAR(3));
  FN(adam)(n, ARRAY(0), ARRAY(1), ARRAY(2), alpha, SCALAR(6), SCALAR(7), SCALAR(8), ARRAY(9),
           nesterov);
}

#undef ARRAY
#undef SCALAR
#undef FN
#undef T
#undef SUFFIX
