/* The digamma, zeta and incomplete gamma and beta functions, in double: most are SciPy's, taken by
 * pointer when a plan first needs them (pyx/blas.pxi), and too long for wider vectors to matter.
 *
 *   special   out y, ins one to three arguments, contiguous and of one type and shape
 *             attrs which (the order of `specials`)
 */
#include <math.h>

#include "kernel.h"

gp_special gp_special_table;

void gp_set_special(void *psi, void *gammainc, void *gammaincc, void *betainc) {
  gp_special_table = (gp_special){(gp_special1)psi, (gp_special2)gammainc, (gp_special2)gammaincc,
                                  (gp_special3)betainc};
}

/* Hurwitz's zeta for s > 1, a > 0: ten terms, and the Euler-Maclaurin formula for the rest (NIST
 * DLMF 25.11.5 with Bernoulli's numbers divided by factorials). */
static double zeta_rest(double s, double a) {
  static const double ratio[] = {1.0 / 12,          -1.0 / 720,
                                 1.0 / 30240,       -1.0 / 1209600,
                                 1.0 / 47900160,    -691.0 / 1307674368000,
                                 1.0 / 74724249600, -3617.0 / 10670622842880000};
  double sum = 0;
  for (int i = 0; i < 10; i++, a += 1) sum += pow(a, -s);
  const double power = pow(a, -s);
  double total = power * a / (s - 1) + power / 2, factor = s * power / a;
  for (int i = 0; i < 8; i++) {
    total += ratio[i] * factor;
    factor *= (s + 2 * i + 1) * (s + 2 * i + 2) / (a * a);
  }
  return sum + total;
}

static double zeta(double s, double a) {
  if (s == 1) return INFINITY;
  if (!(s > 1) || a != a) return NAN;
  if (a > 0) return isinf(a) ? 0 : isinf(s) ? (a < 1 ? INFINITY : a > 1 ? 0 : 1) : zeta_rest(s, a);
  if (a == floor(a)) return INFINITY;
  if (s != floor(s)) return NAN; /* a root of a negative number */
  const double f = a - floor(a); /* the terms below zero, by what they are above it */
  const double below = zeta_rest(s, 1 - f) - zeta_rest(s, 1 - a);
  return zeta_rest(s, f) + (fmod(s, 2) == 0 ? below : -below);
}

static double digamma(double x, double b, double c) {
  (void)b, (void)c;
  return gp_special_table.psi(x, 0);
}
static double zeta_of(double s, double a, double c) {
  (void)c;
  return zeta(s, a);
}
static double polygamma(double n, double x, double c) { /* DLMF 5.15.1 */
  (void)c;
  if (n == 0) return gp_special_table.psi(x, 0);
  if (!(n > 0) || n != floor(n)) return NAN;
  return (fmod(n, 2) == 0 ? -1 : 1) * tgamma(n + 1) * zeta(n + 1, x);
}
static double igamma(double a, double x, double c) {
  (void)c;
  return gp_special_table.gammainc(a, x, 0);
}
static double igammac(double a, double x, double c) {
  (void)c;
  return gp_special_table.gammaincc(a, x, 0);
}
static double betainc(double a, double b, double x) { return gp_special_table.betainc(a, b, x, 0); }

static const struct {
  double (*fn)(double, double, double);
  int arity;
} specials[] = {{digamma, 1}, {zeta_of, 2}, {polygamma, 2},
                {igamma, 2},  {igammac, 2}, {betainc, 3}};
enum { N_SPECIALS = sizeof specials / sizeof *specials };

typedef struct {
  double (*fn)(double, double, double);
  const void *in[3]; /* NULL beyond the arity */
  void *out;
  bool wide;
  int64_t n, step;
} special_job;

static double special_at(const special_job *job, int k, int64_t i) {
  if (!job->in[k]) return 0;
  return job->wide ? ((const double *)job->in[k])[i] : ((const float *)job->in[k])[i];
}

static void special_task(void *ctx, int64_t task) {
  const special_job *job = ctx;
  const int64_t end = min_i64((task + 1) * job->step, job->n);
  for (int64_t i = task * job->step; i < end; i++) {
    const double y = job->fn(special_at(job, 0, i), special_at(job, 1, i), special_at(job, 2, i));
    if (job->wide)
      ((double *)job->out)[i] = y;
    else
      ((float *)job->out)[i] = (float)y;
  }
}

int special_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0);
  special_job job = {.fn = specials[run->plan->attrs[insn->attr]].fn,
                     .out = arg_ptr(run, insn, 0),
                     .wide = out->dtype == GP_F64,
                     .n = count(out)};
  for (int k = 0; k < insn->n_in; k++) job.in[k] = arg_ptr(run, insn, 1 + k);
  if (job.n == 0) return GP_OK;
  job.step = job.n < GP_PARALLEL / 16 ? job.n : piece_of(job.n, 64, MAX_TASKS);
  gp_parallel(run->threads, (job.n + job.step - 1) / job.step, special_task, &job);
  return GP_OK;
}

const char *special_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, insn->n_in, 1);
  if (wrong) return wrong;
  const int64_t which = plan->attrs[insn->attr];
  if (which < 0 || which >= N_SPECIALS) return "no such function";
  if (insn->n_in != specials[which].arity) return "wrong number of arguments";
  if (!gp_special_table.psi) return "the functions of SciPy are not loaded";
  return check_float_group(plan, insn, 0, 1 + insn->n_in);
}
