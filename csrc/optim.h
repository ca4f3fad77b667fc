/* The optimizer steps for one float type; included by optim.c once for each with T and SUFFIX. */
#define FN(name) PASTE(name, SUFFIX)

/* By what an instruction updates. */
typedef struct {
  enum optimizer which;
  bool nesterov;
  T rate;      /* of Adam: the learning rate, corrected for the zeros that the moments began with */
  T number[6]; /* alpha; lr, momentum; beta1_power, beta2_power, lr, beta1, beta2, epsilon */
} FN(update);

/* Elements that lie side by side: a variable, or a part of one. */
typedef struct {
  T *state[3]; /* var, and accum or m, v */
  const T *grad;
  int64_t n;
} FN(span);

INLINE void FN(descend)(FN(span) s, T alpha) {
  T *var = s.state[0];
#pragma GCC ivdep
  for (int64_t i = 0; i < s.n; i++) var[i] -= alpha * s.grad[i];
}

INLINE void FN(momentum)(FN(span) s, T lr, T mu, bool nesterov) {
  T *var = s.state[0], *accum = s.state[1];
#pragma GCC ivdep
  for (int64_t i = 0; i < s.n; i++) {
    const T g = s.grad[i], a = mu * accum[i] + g;
    accum[i] = a;
    var[i] -= nesterov ? g * lr + a * mu * lr : lr * a;
  }
}

/* Adam as TensorFlow 1 has it: epsilon is added to the uncorrected root of v. */
INLINE void FN(adam)(FN(span) s, T alpha, T beta1, T beta2, T epsilon, bool nesterov) {
  const T rest1 = 1 - beta1, rest2 = 1 - beta2;
  T *var = s.state[0], *m = s.state[1], *v = s.state[2];
#pragma GCC ivdep
  for (int64_t i = 0; i < s.n; i++) {
    const T g = s.grad[i], mi = FN(mad)(g - m[i], rest1, m[i]);
    const T vi = FN(mad)(FN(mad)(g, g, -v[i]), rest2, v[i]);
    m[i] = mi;
    v[i] = vi;
    var[i] -= (nesterov ? g * rest1 + beta1 * mi : mi) * alpha / (FN(root)(vi) + epsilon);
  }
}

/* STEP is one of these calls. What is left of a span beyond whole vectors is copied to where a
 * vector has room: that costs as much as one vector more, and scalars cost several times that. */
#define OVER(n_states, STEP)                                               \
  for (const FN(span) *whole = spans; whole < spans + n_spans; whole++) {  \
    FN(span) s = *whole;                                                   \
    const int64_t rest = s.n % FN(V), first = s.n - rest;                  \
    s.n = first;                                                           \
    STEP;                                                                  \
    if (rest) {                                                            \
      _Alignas(SIMD_BYTES) T last[n_states + 1][FN(V)];                    \
      for (int i = 0; i < n_states; i++) {                                 \
        FN(store)(last[i], FN(load_part)(whole->state[i] + first, rest));  \
        s.state[i] = last[i];                                              \
      }                                                                    \
      FN(store)(last[n_states], FN(load_part)(whole->grad + first, rest)); \
      s.grad = last[n_states];                                             \
      s.n = FN(V);                                                         \
      STEP;                                                                \
      for (int i = 0; i < n_states; i++)                                   \
        FN(store_part)(whole->state[i] + first, FN(load)(last[i]), rest);  \
    }                                                                      \
  }

static void FN(step)(const FN(update) * u, const FN(span) * spans, int64_t n_spans) {
  const T *x = u->number, rate = u->rate;
  if (u->which == DESCENT) {
    const T alpha = x[0];
    OVER(1, FN(descend)(s, alpha))
  } else if (u->which == MOMENTUM) {
    const T lr = x[0], mu = x[1];
    if (u->nesterov) {
      OVER(2, FN(momentum)(s, lr, mu, true))
    } else {
      OVER(2, FN(momentum)(s, lr, mu, false))
    }
  } else {
    const T beta1 = x[3], beta2 = x[4], epsilon = x[5];
    if (u->nesterov) {
      OVER(3, FN(adam)(s, rate, beta1, beta2, epsilon, true))
    } else {
      OVER(3, FN(adam)(s, rate, beta1, beta2, epsilon, false))
    }
  }
}
#undef OVER

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
  FN(span) spans[SPANS];
  int n_spans;
  int64_t n, chunk; /* elements: of all, of a task */
} FN(apply_job);

static void FN(apply_task)(void *ctx, int64_t task) {
  const FN(apply_job) *job = ctx;
  const int64_t from = task * job->chunk, to = min_i64(from + job->chunk, job->n);
  int64_t first = 0; /* element of the variable */
  for (int i = 0; i < job->n_spans && first < to; i++) {
    FN(span) s = job->spans[i];
    const int64_t at = from > first ? from - first : 0, end = min_i64(s.n, to - first);
    first += s.n;
    if (at >= end) continue;
    for (int k = 0; k < n_states[job->update.which]; k++) s.state[k] += at;
    s.grad += at;
    s.n = end - at;
    FN(step)(&job->update, &s, 1);
  }
}

static void FN(apply)(gp_run *run, const gp_insn *insn, enum optimizer which, bool nesterov) {
  FN(apply_job) job;
  const int n_state = n_states[which], n_vars = insn->n_out / n_state;
  FN(make_update)(&job.update, run, insn, which, nesterov, insn->n_out,
                  gradient_of(insn, which, 0));
  for (int i = 0; i < n_vars;) {
    job.n_spans = 0;
    job.n = 0;
    for (; i < n_vars && job.n_spans < SPANS; i++) {
      FN(span) *s = &job.spans[job.n_spans++];
      for (int k = 0; k < n_state; k++) s->state[k] = arg_ptr(run, insn, i * n_state + k);
      s->grad = arg_ptr(run, insn, gradient_of(insn, which, i));
      s->n = count(arg_buf(run->plan, insn, i * n_state));
      job.n += s->n;
    }
    if (job.n < 2 * GP_PARALLEL) {
      FN(step)(&job.update, job.spans, job.n_spans);
      continue;
    }
    job.chunk = piece_of(job.n, GP_PARALLEL, MAX_TASKS);
    gp_parallel(run->threads, (job.n + job.chunk - 1) / job.chunk, FN(apply_task), &job);
  }
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
      const bool whole = p.n == n; /* rows */
      for (int64_t r = 0; r < p.m; r += whole ? p.m : 1) {
        FN(span) s = {.grad = grad + r * p.n, .n = whole ? p.m * n : p.n};
        for (int k = 0; k < n_states[job->update.which]; k++)
          s.state[k] = job->state[k] + (i + r) * n + j;
        FN(step)(&job->update, &s, 1);
      }
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
