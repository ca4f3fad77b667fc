/* The optimizer steps for one float type; included by optim.c once for each with T and SUFFIX. */
#define FN(name) PASTE(name, SUFFIX)

/* By what an instruction updates. */
typedef struct {
  enum optimizer which;
  bool nesterov;
  T rate;      /* of Adam: the learning rate, corrected for the zeros that the moments began with */
  T number[6]; /* alpha; lr, momentum; beta1_power, beta2_power, lr, beta1, beta2, epsilon */
} FN(update);

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
      const T g = grad[i], mi = FN(mad)(g - m[i], rest1, m[i]);
      const T vi = FN(mad)(FN(mad)(g, g, -v[i]), rest2, v[i]);
      m[i] = mi;
      v[i] = vi;
      var[i] -= (g * rest1 + beta1 * mi) * alpha / (FN(root)(vi) + epsilon);
    }
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) {
      const T g = grad[i], mi = FN(mad)(g - m[i], rest1, m[i]);
      const T vi = FN(mad)(FN(mad)(g, g, -v[i]), rest2, v[i]);
      m[i] = mi;
      v[i] = vi;
      var[i] -= mi * alpha / (FN(root)(vi) + epsilon);
    }
  }
}

/* Elements [at, at + n) of the state (var, and accum or m, v) by grad[n]. */
static void FN(step)(const FN(update) * u, T *const *state, int64_t at, int64_t n, const T *grad) {
  const T *x = u->number;
  T *var = state[0] + at;
  switch (u->which) {
    case DESCENT:
      FN(descend)(n, var, x[0], grad);
      break;
    case MOMENTUM:
      FN(momentum)(n, var, state[1] + at, x[0], grad, x[1], u->nesterov);
      break;
    case ADAM:
      FN(adam)(n, var, state[1] + at, state[2] + at, u->rate, x[3], x[4], x[5], grad, u->nesterov);
      break;
  }
}

/* The numbers are the arguments from `in` on, all but `grad`. Made in its place, as a product is.
 */
static inline void FN(make_update)(FN(update) * u, const gp_run *run, const gp_insn *insn,
                                   enum optimizer which, bool nesterov, int in, int grad) {
  T *number = u->number;
  u->which = which;
  u->nesterov = nesterov;
  for (int i = in; number < u->number + n_numbers[which]; i++)
    if (i != grad) *number++ = *(const T *)arg_ptr(run, insn, i);
  if (which == ADAM) {
    const T *x = u->number;
    u->rate = x[2] * (T)sqrt((double)(1 - x[1])) / (1 - x[0]);
  }
}

/* Variables side by side in thought: their elements are counted through, and a task takes some. */
typedef struct {
  FN(update) update;
  const gp_run *run;
  const gp_insn *insn;
  int64_t n, chunk;
} FN(apply_job);

static void FN(apply_task)(void *ctx, int64_t task) {
  const FN(apply_job) *job = ctx;
  const gp_insn *insn = job->insn;
  const int64_t from = task * job->chunk, to = min_i64(from + job->chunk, job->n);
  const int n_state = n_states[job->update.which], n_vars = insn->n_out / n_state;
  int64_t first = 0; /* element of the variable */
  for (int i = 0; i < n_vars && first < to; i++) {
    const int64_t n = count(arg_buf(job->run->plan, insn, i * n_state));
    const int64_t at = from > first ? from - first : 0, end = min_i64(n, to - first);
    if (at < end) {
      T *state[3];
      for (int k = 0; k < n_state; k++) state[k] = arg_ptr(job->run, insn, i * n_state + k);
      const T *grad = arg_ptr(job->run, insn, gradient_of(insn, job->update.which, i));
      FN(step)(&job->update, state, at, end - at, grad + at);
    }
    first += n;
  }
}

static void FN(apply)(gp_run *run, const gp_insn *insn, enum optimizer which, bool nesterov) {
  FN(apply_job) job;
  const int n_state = n_states[which];
  int64_t n = 0;
  for (int i = 0; i < insn->n_out; i += n_state) n += count(arg_buf(run->plan, insn, i));
  FN(make_update)(&job.update, run, insn, which, nesterov, insn->n_out,
                  gradient_of(insn, which, 0));
  if (insn->n_out == n_state && n < 2 * GP_PARALLEL) { /* one small variable: nothing to share */
    T *state[3];
    for (int k = 0; k < n_state; k++) state[k] = arg_ptr(run, insn, k);
    FN(step)(&job.update, state, 0, n, arg_ptr(run, insn, gradient_of(insn, which, 0)));
    return;
  }
  job.run = run;
  job.insn = insn;
  job.n = job.chunk = n;
  if (n >= 2 * GP_PARALLEL) job.chunk = piece_of(n, GP_PARALLEL, MAX_TASKS);
  gp_parallel(run->threads, n ? (n + job.chunk - 1) / job.chunk : 0, FN(apply_task), &job);
}

/* ---- matmul_update ---- */

typedef struct {
  FN(update) update;
  T *state[3];
  product p;
  enum way way;
  int64_t rows; /* of a task */
} FN(update_job);

static void FN(update_task)(void *ctx, int64_t task) {
  const FN(update_job) *job = ctx;
  const int64_t n = job->p.n, from = task * job->rows, to = min_i64(from + job->rows, job->p.m);
  _Alignas(64) T grad[PANEL_BYTES / sizeof(T)];
  /* panels below each other first: they share columns of b */
  const int64_t cols = min_i64(n, UPDATE_COLUMNS), rows = (int64_t)(PANEL_BYTES / sizeof(T)) / cols;
  for (int64_t j = 0; j < n; j += cols)
    for (int64_t i = from; i < to; i += rows) {
      product p = job->p;
      p.m = min_i64(rows, to - i);
      p.n = p.ldc = min_i64(cols, n - j);
      p.a = (const T *)p.a + i * p.ars;
      p.b = (const T *)p.b + j * p.bcs;
      p.c = grad;
      multiply(&p, sizeof(T) == 4 ? GP_F32 : GP_F64, job->way);
      if (p.n == n)
        FN(step)(&job->update, job->state, i * n, p.m * n, grad);
      else
        for (int64_t r = 0; r < p.m; r++)
          FN(step)(&job->update, job->state, (i + r) * n + j, p.n, grad + r * p.n);
    }
}

static void FN(update_by_product)(gp_run *run, const gp_insn *insn, enum optimizer which,
                                  bool nesterov) {
  FN(update_job) job;
  make_product(&job.p, run, insn, 0, insn->n_out);
  const int64_t m = job.p.m, n = job.p.n;
  if (m == 0 || n == 0) return;
  FN(make_update)(&job.update, run, insn, which, nesterov, insn->n_out + 2, -1);
  for (int i = 0; i < insn->n_out; i++) job.state[i] = arg_ptr(run, insn, i);
  job.way = product_way(&job.p, sizeof(T) == 4 ? GP_F32 : GP_F64);
  if (job.way == BLAS && gp_product_way >= 0) job.way = FN(small_way)(&job.p);
  job.rows = m;
  if (m * n * (job.p.k + 16) >= PARALLEL_PRODUCT) job.rows = piece_of(m, 12, MAX_TASKS);
  gp_parallel(run->threads, (m + job.rows - 1) / job.rows, FN(update_task), &job);
}

#undef FN
#undef T
#undef SUFFIX
