/* Candidate samplers for losses over many classes, the hits among their samples, and the check of a
 * fraction. */
#include <math.h>

#include "stream.h"

enum { UNIFORM, LOG_UNIFORM, TABLE, EVERY, N_SAMPLERS };

/* More tries than this, and the classes are too uneven to draw so many different ones. */
static const int64_t MOST_TRIES = (int64_t)1 << 32;

typedef struct {
  int kind;
  int64_t range;      /* classes are [0, range) */
  double log_range;   /* log(range + 1) */
  const double *sums; /* TABLE: [range] cumulative weights */
} sampler;

static double probability(const sampler *s, int64_t k) {
  switch (s->kind) {
    case LOG_UNIFORM:
      return log1p(1.0 / ((double)k + 1)) / s->log_range;
    case TABLE:
      return (s->sums[k] - (k ? s->sums[k - 1] : 0)) / s->sums[s->range - 1];
    default:
      return 1.0 / (double)s->range;
  }
}

static int64_t candidate(const sampler *s, stream *r) {
  if (s->kind == UNIFORM) return (int64_t)next_below(r, (uint64_t)s->range);
  const double u = next_uniform(r);
  if (s->kind == LOG_UNIFORM) {
    const int64_t k = (int64_t)exp_f64(u * s->log_range) - 1;
    return k < 0 ? 0 : min_i64(k, s->range - 1);
  }
  return first_above(s->sums, s->range, u * s->sums[s->range - 1]);
}

/* Put k into an open-addressed table of `size` (a power of two) places; false if it is there. */
static bool insert(int64_t *table, int64_t size, int64_t k) {
  uint64_t at = (uint64_t)k * 0x9E3779B97F4A7C15;
  at ^= at >> 32;
  for (;; at++) {
    int64_t *place = &table[at & (uint64_t)(size - 1)];
    if (*place == k) return false;
    if (*place == -1) {
      *place = k;
      return true;
    }
  }
}

/* How often k is expected among the samples. */
static float expected(const sampler *s, int64_t k, int64_t n, int64_t tries) {
  const double p = s->kind == EVERY ? 1.0 / (double)n : probability(s, k);
  return (float)(tries == n ? p * (double)n : -expm1((double)tries * log1p(-p)));
}

/* outs sampled i64[n], true_count f32[m], sampled_count f32[n], state, table i64[size];
 * ins true i64[m], sums f64[range] for TABLE; attrs kind, range, unique */
int candidate_sampler_kernel(gp_run *run, const gp_insn *insn) {
  const gp_plan *plan = run->plan;
  const int64_t *attrs = plan->attrs + insn->attr;
  int64_t *sampled = arg_ptr(run, insn, 0), *table = arg_ptr(run, insn, 4);
  float *true_count = arg_ptr(run, insn, 1), *sampled_count = arg_ptr(run, insn, 2);
  uint64_t *state = arg_ptr(run, insn, 3);
  const volatile int64_t *given = arg_ptr(run, insn, 5);
  const int64_t n = arg_buf(plan, insn, 0)->dims[0], m = arg_buf(plan, insn, 5)->dims[0];
  const int64_t size = arg_buf(plan, insn, 4)->dims[0];
  const bool unique = attrs[2];
  const sampler s = {.kind = (int)attrs[0],
                     .range = attrs[1],
                     .log_range = log_f64((double)attrs[1] + 1),
                     .sums = attrs[0] == TABLE ? arg_ptr(run, insn, 6) : NULL};
  for (int64_t i = 0; i < m; i++) {
    const int64_t k = given[i];
    if (k < 0 || k >= s.range) return fail(run, GP_ERR_RANGE, i, k, s.range);
  }
  stream r = stream_of_run(state[0], state[1]);
  int64_t tries = 0;
  if (unique)
    for (int64_t i = 0; i < size; i++) table[i] = -1;
  for (int64_t i = 0; i < n;) {
    sampled[i] = s.kind == EVERY ? i : candidate(&s, &r);
    if (++tries > MOST_TRIES) return fail_domain(run, i, (double)n, GP_SPREAD);
    i += s.kind == EVERY || !unique || insert(table, size, sampled[i]);
  }
  state[1] = r.counter + r.second;
  for (int64_t i = 0; i < m; i++) {
    const int64_t k = given[i]; /* looked at again: what is fed may change meanwhile */
    true_count[i] = k < 0 || k >= s.range ? 0 : expected(&s, k, n, tries);
  }
  for (int64_t i = 0; i < n; i++) sampled_count[i] = expected(&s, sampled[i], n, tries);
  return GP_OK;
}

const char *candidate_sampler_check(const gp_plan *plan, const gp_insn *insn) {
  if (insn->n_attr != 3) return "wrong number of attributes";
  const int64_t *attrs = plan->attrs + insn->attr;
  if (attrs[0] < 0 || attrs[0] >= N_SAMPLERS) return "no such sampler";
  const char *wrong = check_arity(plan, insn, 5, attrs[0] == TABLE ? 2 : 1, 3);
  if (!wrong) wrong = check_state(plan, insn, 3);
  if (!wrong) wrong = check_all_contiguous(plan, insn);
  if (wrong) return wrong;
  static const int32_t dtypes[] = {GP_I64, GP_F32, GP_F32, GP_I64, GP_I64, GP_I64, GP_F64};
  for (int i = 0; i < insn->n_out + insn->n_in; i++) {
    if (arg_buf(plan, insn, i)->dtype != dtypes[i]) return "wrong dtype";
    if (arg_buf(plan, insn, i)->rank != 1) return "a vector is expected";
  }
  const int64_t n = arg_buf(plan, insn, 0)->dims[0], size = arg_buf(plan, insn, 4)->dims[0];
  if (attrs[1] < 1 || attrs[1] > GP_MAX_BYTES) return "bad range";
  if (attrs[2] != 0 && attrs[2] != 1) return "bad flag";
  if (arg_buf(plan, insn, 1)->dims[0] != arg_buf(plan, insn, 5)->dims[0]) return "shapes disagree";
  if (arg_buf(plan, insn, 2)->dims[0] != n) return "shapes disagree";
  if (attrs[0] == TABLE && arg_buf(plan, insn, 6)->dims[0] != attrs[1]) return "shapes disagree";
  if (attrs[0] == EVERY && n != attrs[1]) return "shapes disagree";
  if (attrs[2] && n > attrs[1]) return "more different classes than there are";
  if (attrs[2] && (size < 2 * n || size < 1 || (size & (size - 1)))) return "bad table size";
  return NULL;
}

/* outs row i32[m], at i64[m], count i64[]; ins true i64[batch, num_true], sampled i64[n]: the true
 * classes that were sampled, each with its row and the last place where it was; m is the number of
 * true classes, and what is beyond the count is zero. */
int accidental_hits_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *classes = arg_buf(run->plan, insn, 3);
  int32_t *row = arg_ptr(run, insn, 0);
  int64_t *at = arg_ptr(run, insn, 1), *total = arg_ptr(run, insn, 2);
  const int64_t *given = arg_ptr(run, insn, 3), *sampled = arg_ptr(run, insn, 4);
  const int64_t m = count(classes), n = arg_buf(run->plan, insn, 4)->dims[0];
  int64_t hits = 0;
  for (int64_t i = 0; i < m; i++) {
    int64_t j = n - 1;
    while (j >= 0 && sampled[j] != given[i]) j--;
    if (j < 0) continue;
    row[hits] = (int32_t)(i / classes->dims[1]);
    at[hits++] = j;
  }
  *total = hits;
  for (int64_t i = hits; i < m; i++) row[i] = 0, at[i] = 0;
  return GP_OK;
}

const char *accidental_hits_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 3, 2, 0);
  if (!wrong) wrong = check_all_contiguous(plan, insn);
  if (wrong) return wrong;
  static const int32_t dtypes[] = {GP_I32, GP_I64, GP_I64, GP_I64, GP_I64},
                       ranks[] = {1, 1, 0, 2, 1};
  for (int i = 0; i < 5; i++) {
    if (arg_buf(plan, insn, i)->dtype != dtypes[i]) return "wrong dtype";
    if (arg_buf(plan, insn, i)->rank != ranks[i]) return "wrong rank";
  }
  const int64_t m = count(arg_buf(plan, insn, 3));
  if (arg_buf(plan, insn, 3)->dims[0] > INT32_MAX) return "too many rows";
  for (int i = 0; i < 2; i++)
    if (arg_buf(plan, insn, i)->dims[0] != m) return "shapes disagree";
  return NULL;
}

/* outs y[]; ins x[]: x, which must be in [0, 1) */
int check_fraction_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 1);
  const double x = real_at(in, arg_ptr(run, insn, 1), 0);
  if (!(x >= 0 && x < 1)) return fail_domain(run, 0, x, GP_FRACTION);
  memcpy(arg_ptr(run, insn, 0), arg_ptr(run, insn, 1), (size_t)gp_itemsize(in->dtype));
  return GP_OK;
}

const char *check_fraction_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 1, 0);
  if (wrong) return wrong;
  if (arg_buf(plan, insn, 0)->rank) return "a scalar is expected";
  return check_float_group(plan, insn, 0, 2);
}
