/* Random numbers by rejection: gamma, Poisson, categories, permutations.
 *
 * Element i of a run draws from blocks {counter + i, attempt 0, 1, ...}, so that neither threads
 * nor what other elements reject changes it; after a run the counter has advanced by the number of
 * elements. A permutation draws from one stream, number by number, in the same way. Parameters are
 * looked at before anything is drawn.
 */
#include <math.h>

#include "stream.h"

/* out[n] in tasks: fn draws elements [from, to). */
typedef struct draws draws;
struct draws {
  void (*fn)(const draws *job, int64_t from, int64_t to);
  uint64_t key, counter;
  const gp_buf *out;
  void *to;
  const gp_buf *param; /* element i has parameter i mod n_param */
  const void *x;
  int64_t n, n_param, step;
};

static void draws_task(void *ctx, int64_t task) {
  const draws *job = ctx;
  job->fn(job, task * job->step, min_i64(job->n, (task + 1) * job->step));
}

static void draw(gp_run *run, draws *job, uint64_t *state) {
  job->key = state[0];
  job->counter = state[1];
  job->step = job->n >= GP_PARALLEL / 8 ? piece_of(job->n, 64, MAX_TASKS) : job->n;
  gp_parallel(run->threads, job->n ? (job->n + job->step - 1) / job->step : 0, draws_task, job);
  state[1] += (uint64_t)job->n;
}

/* outs out, state; ins parameters */
static draws draws_of(const gp_run *run, const gp_insn *insn) {
  draws job = {.out = arg_buf(run->plan, insn, 0),
               .to = arg_ptr(run, insn, 0),
               .param = arg_buf(run->plan, insn, 2),
               .x = arg_ptr(run, insn, 2)};
  job.n = count(job.out);
  job.n_param = count(job.param);
  return job;
}

/* The last dims of out are those of the parameters. */
static const char *check_draws(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 2, 1, 0);
  if (!wrong) wrong = check_state(plan, insn, 1);
  if (!wrong) wrong = check_all_contiguous(plan, insn);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *param = arg_buf(plan, insn, 2);
  const int lead = out->rank - param->rank;
  if (lead < 0) return "shapes disagree";
  for (int i = 0; i < param->rank; i++)
    if (out->dims[lead + i] != param->dims[i]) return "shapes disagree";
  return NULL;
}

/* ---- gamma ---- */

/* G. Marsaglia and W. W. Tsang, A simple method for generating gamma variables, ACM TOMS 26 (2000);
 * for alpha < 1 the variable of alpha + 1 times u^(1/alpha). */
static double gamma_of(stream *s, double alpha) {
  const double shape = alpha < 1 ? alpha + 1 : alpha;
  const double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
  for (;;) {
    const double x = next_normal(s), t = 1 + c * x;
    if (t <= 0) continue;
    const double v = t * t * t, u = 1 - next_uniform(s); /* u > 0 */
    if (u >= 1 - 0.0331 * (x * x) * (x * x) && log_f64(u) >= 0.5 * x * x + d * (1 - v + log_f64(v)))
      continue;
    if (shape == alpha) return d * v;
    return d * v * exp_f64(log_f64(1 - next_uniform(s)) / alpha);
  }
}

static void draw_gammas(const draws *job, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; i++) {
    stream s = stream_of_element(job->key, job->counter + (uint64_t)i);
    const double x = gamma_of(&s, real_at(job->param, job->x, i % job->n_param));
    if (job->out->dtype == GP_F64)
      ((double *)job->to)[i] = x;
    else
      ((float *)job->to)[i] = (float)x;
  }
}

int random_gamma_kernel(gp_run *run, const gp_insn *insn) {
  draws job = draws_of(run, insn);
  for (int64_t i = 0; i < job.n_param; i++) {
    const double alpha = real_at(job.param, job.x, i);
    if (!(alpha > 0 && alpha < INFINITY)) return fail_domain(run, i, alpha, GP_POSITIVE);
  }
  job.fn = draw_gammas;
  draw(run, &job, arg_ptr(run, insn, 1));
  return GP_OK;
}

const char *random_gamma_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_draws(plan, insn);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0);
  return is_float(out) && out->dtype == arg_buf(plan, insn, 2)->dtype ? NULL : "wrong dtype";
}

/* ---- Poisson ---- */

/* log(exp(-rate) rate^k / k!), for rate >= 10: by the table below 16, else by Stirling's series and
 * the deviance, which does not cancel (C. Loader, Fast and accurate computation of binomial
 * probabilities, 2000). */
static double log_poisson(double k, double rate) {
  static const double log_factorial[16] = {0,
                                           0,
                                           0.693147180559945309,
                                           1.791759469228055,
                                           3.1780538303479456,
                                           4.787491742782046,
                                           6.579251212010101,
                                           8.525161361065415,
                                           10.604602902745251,
                                           12.801827480081469,
                                           15.104412573075516,
                                           17.502307845873887,
                                           19.987214495661885,
                                           22.552163853123425,
                                           25.191221182738680,
                                           27.899271383840890};
  if (k < 16) return k * log_f64(rate) - rate - log_factorial[(int)k];
  const double x = (k - rate) / rate; /* k log(k / rate) - k + rate = rate ((1+x) log(1+x) - x) */
  const double deviance = rate * ((1 + x) * log1p_f64(x) - x);
  const double series = (1.0 / 12 - 1.0 / 360 / (k * k)) / k;
  return -deviance - 0.5 * log_f64(6.283185307179586 * k) - series;
}

/* Small rates by counting how many uniforms their product needs to fall below exp(-rate) (Knuth);
 * others by W. Hoermann's transformed rejection PTRS, Insurance: Mathematics and Economics 12
 * (1993). */
static double poisson_of(stream *s, double rate) {
  if (rate < 10) {
    const double least = exp_f64(-rate);
    double product = next_uniform(s), k = 0;
    for (; product > least; k++) product *= next_uniform(s);
    return k;
  }
  if (!(rate < 0x1p63)) return 0; /* what is fed was changed meanwhile: no rejection would end */
  const double b = 0.931 + 2.53 * sqrt(rate), a = -0.059 + 0.02483 * b;
  const double log_inverse_alpha = log_f64(1.1239 + 1.1328 / (b - 3.4));
  const double squeeze = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double u = next_uniform(s) - 0.5, v = 1 - next_uniform(s); /* v > 0 */
    const double side = 0.5 - fabs(u);
    if (side <= 0) continue;
    const double k = floor((2 * a / side + b) * u + rate + 0.43);
    if (side >= 0.07 && v <= squeeze) return k;
    if (k < 0 || (side < 0.013 && v > side)) continue;
    if (log_f64(v) + log_inverse_alpha - log_f64(a / (side * side) + b) <= log_poisson(k, rate))
      return k;
  }
}

/* The largest rate for which no count that is ever drawn passes the type's last exact integer. */
static double largest_rate(int32_t dtype) { return dtype == GP_I32 ? 0x1p31 - 0x1p22 : 0x1p62; }

static void draw_poissons(const draws *job, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; i++) {
    stream s = stream_of_element(job->key, job->counter + (uint64_t)i);
    double k = poisson_of(&s, real_at(job->param, job->x, i % job->n_param));
    switch (job->out->dtype) {
      case GP_F64:
        ((double *)job->to)[i] = k;
        break;
      case GP_F32:
        ((float *)job->to)[i] = (float)k;
        break;
      case GP_I64:
        ((int64_t *)job->to)[i] = (int64_t)fmin(k, 0x1p62 * 1.5);
        break;
      default:
        ((int32_t *)job->to)[i] = (int32_t)fmin(k, INT32_MAX);
    }
  }
}

int random_poisson_kernel(gp_run *run, const gp_insn *insn) {
  draws job = draws_of(run, insn);
  for (int64_t i = 0; i < job.n_param; i++) {
    const double rate = real_at(job.param, job.x, i);
    if (!(rate >= 0 && rate <= largest_rate(job.out->dtype)))
      return fail_domain(run, i, rate, GP_RATE);
  }
  job.fn = draw_poissons;
  draw(run, &job, arg_ptr(run, insn, 1));
  return GP_OK;
}

const char *random_poisson_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_draws(plan, insn);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0);
  if (!is_float(arg_buf(plan, insn, 2))) return "wrong dtype";
  return is_float(out) || is_index(out) ? NULL : "wrong dtype";
}

/* ---- categories ---- */

typedef struct {
  uint64_t key, counter;
  const gp_buf *logits, *out;
  const void *x;
  void *to;
  double *sums;                    /* [tasks, classes] */
  int64_t batch, classes, samples; /* logits[batch, classes], out[batch, samples] */
  int64_t step;                    /* rows of a task */
} categories;

static void categories_task(void *ctx, int64_t task) {
  const categories *job = ctx;
  double *sums = job->sums + task * job->classes;
  for (int64_t r = task * job->step; r < min_i64(job->batch, (task + 1) * job->step); r++) {
    double largest = -INFINITY, total = 0;
    for (int64_t j = 0; j < job->classes; j++)
      largest = fmax(largest, real_at(job->logits, job->x, r * job->classes + j));
    for (int64_t j = 0; j < job->classes; j++) {
      const double x = real_at(job->logits, job->x, r * job->classes + j) - largest;
      total += x > -740 ? exp_f64(x) : 0;
      sums[j] = total;
    }
    for (int64_t j = 0; j < job->samples; j++) {
      const int64_t i = r * job->samples + j;
      stream s = stream_of_element(job->key, job->counter + (uint64_t)i);
      const int64_t k = first_above(sums, job->classes, next_uniform(&s) * total);
      if (job->out->dtype == GP_I64)
        ((int64_t *)job->to)[i] = k;
      else
        ((int32_t *)job->to)[i] = (int32_t)k;
    }
  }
}

/* outs out[batch, samples], state, sums[tasks, classes]; ins logits[batch, classes] */
int multinomial_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0), *logits = arg_buf(run->plan, insn, 3);
  uint64_t *state = arg_ptr(run, insn, 1);
  const int64_t tasks = arg_buf(run->plan, insn, 2)->dims[0];
  categories job = {.key = state[0],
                    .counter = state[1],
                    .logits = logits,
                    .out = out,
                    .x = arg_ptr(run, insn, 3),
                    .to = arg_ptr(run, insn, 0),
                    .sums = arg_ptr(run, insn, 2),
                    .batch = logits->dims[0],
                    .classes = logits->dims[1],
                    .samples = out->dims[1]};
  for (int64_t r = 0; r < job.batch; r++) {
    bool some = false;
    for (int64_t j = 0; j < job.classes; j++) {
      const double x = real_at(logits, job.x, r * job.classes + j);
      if (!(x < INFINITY)) return fail_domain(run, r * job.classes + j, x, GP_LOGIT);
      some |= x > -INFINITY;
    }
    if (!some) return fail_domain(run, r, -INFINITY, GP_SOME_FINITE);
  }
  if (job.batch == 0) return GP_OK;
  job.step = (job.batch + tasks - 1) / tasks;
  gp_parallel(run->threads, (job.batch + job.step - 1) / job.step, categories_task, &job);
  state[1] += (uint64_t)count(out);
  return GP_OK;
}

const char *multinomial_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 3, 1, 0);
  if (!wrong) wrong = check_state(plan, insn, 1);
  if (!wrong) wrong = check_all_contiguous(plan, insn);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *sums = arg_buf(plan, insn, 2);
  const gp_buf *logits = arg_buf(plan, insn, 3);
  if (!is_index(out) || !is_float(logits) || sums->dtype != GP_F64) return "wrong dtype";
  if (out->rank != 2 || sums->rank != 2 || logits->rank != 2) return "a matrix is expected";
  if (out->dims[0] != logits->dims[0] || sums->dims[1] != logits->dims[1]) return "shapes disagree";
  return sums->dims[0] > 0 ? NULL : "there is no room for sums";
}

/* ---- permutations ---- */

/* outs out, state; ins value: rows in random order, by Fisher and Yates, from one buffer into the
 * other */
int random_shuffle_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *value = arg_buf(run->plan, insn, 2);
  uint64_t *state = arg_ptr(run, insn, 1);
  const char *from = arg_ptr(run, insn, 2);
  char *to = arg_ptr(run, insn, 0);
  const int64_t rows = value->rank ? value->dims[0] : 1;
  const int64_t total = count(value) * gp_itemsize(value->dtype);
  const size_t size = rows ? (size_t)(total / rows) : 0;
  if (size == 0) return GP_OK;
  stream s = stream_of_run(state[0], state[1]);
  for (int64_t i = 0; i < rows; i++) {
    const int64_t j = i ? (int64_t)next_below(&s, (uint64_t)i + 1) : 0;
    if (j != i) memcpy(to + (size_t)i * size, to + (size_t)j * size, size);
    memcpy(to + (size_t)j * size, from + (size_t)i * size, size);
  }
  state[1] = s.counter + s.second;
  return GP_OK;
}

const char *random_shuffle_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 2, 1, 0);
  if (!wrong) wrong = check_state(plan, insn, 1);
  if (!wrong) wrong = check_all_contiguous(plan, insn);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *value = arg_buf(plan, insn, 2);
  if (out->dtype != value->dtype) return "wrong dtype";
  return same_dims(out, value) ? NULL : "shapes disagree";
}

/* ---- streams of streams ---- */

/* Key and counter of stream `number` of those that belong to a stream, to out[2]. No draw has this
 * attempt. */
static void stream_number(const uint64_t *stream, uint64_t number, uint64_t *out) {
  uint32_t w[4];
  philox_block(stream[0], stream[1] + number, UINT32_MAX, w);
  out[0] = (uint64_t)w[1] << 32 | w[0];
  out[1] = (uint64_t)w[3] << 32 | w[2];
}

/* outs out[2], state: another stream for each run */
int random_stream_kernel(gp_run *run, const gp_insn *insn) {
  uint64_t *state = arg_ptr(run, insn, 1);
  stream_number(state, 0, arg_ptr(run, insn, 0));
  state[1]++;
  return GP_OK;
}

const char *random_stream_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 2, 0, 0);
  if (!wrong) wrong = check_state(plan, insn, 0);
  return wrong ? wrong : check_state(plan, insn, 1);
}

/* outs out[2]; ins stream[2], number[] */
int fold_stream_kernel(gp_run *run, const gp_insn *insn) {
  const int64_t *number = arg_ptr(run, insn, 2);
  stream_number(arg_ptr(run, insn, 1), (uint64_t)*number, arg_ptr(run, insn, 0));
  return GP_OK;
}

const char *fold_stream_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 0);
  if (!wrong) wrong = check_state(plan, insn, 0);
  if (!wrong) wrong = check_state(plan, insn, 1);
  if (wrong) return wrong;
  const gp_buf *number = arg_buf(plan, insn, 2);
  if (number->dtype != GP_I64) return "wrong dtype";
  return number->rank == 0 ? NULL : "a scalar is expected";
}
