/* Checking a plan, once, and running it, often. */
#include "core.h"

#include <stdbool.h>
#include <string.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

/* ---- plan_check ---- */

static int mul(int64_t a, int64_t b, int64_t *product) { /* false beyond GP_MAX_BYTES */
  return !__builtin_mul_overflow(a, b, product) && *product <= GP_MAX_BYTES &&
         *product >= -GP_MAX_BYTES;
}

const char *gp_extent(const gp_buf *buf, int64_t *begin, int64_t *end) {
  int64_t elements = 1, low = 0, high = 0, span;
  int empty = 0;
  if (buf->dtype < 0 || buf->dtype >= GP_NDTYPES) return "no such dtype";
  if (buf->rank < 0 || buf->rank > GP_MAX_RANK) return "bad rank";
  const int64_t size = gp_itemsize(buf->dtype);
  for (int i = 0; i < buf->rank; i++) {
    const int64_t dim = buf->dims[i], stride = buf->strides[i];
    if (dim < 0) return "a dim is negative";
    /* a dim of 0 must not hide the size of the others */
    if (!mul(elements, dim ? dim : 1, &elements) || !mul(elements, size, &span))
      return "the buffer is too large";
    if (!mul(stride, dim ? dim : 1, &span) || !mul(span, size, &span))
      return "a stride is too large";
    if (dim == 0) empty = 1;
    if (dim > 0) *(stride < 0 ? &low : &high) += (dim - 1) * stride;
  }
  if (buf->offset < 0 || buf->offset > GP_MAX_BYTES) return "bad offset";
  if (buf->offset % size) return "the offset is not aligned";
  *begin = buf->offset + (empty ? 0 : low * size);
  *end = buf->offset + (empty ? 0 : (high + 1) * size);
  return NULL;
}

static const char *check_buf(const gp_plan *plan, const gp_buf *buf) {
  int64_t begin, end, limit;
  const char *wrong = gp_extent(buf, &begin, &end);
  if (wrong) return wrong;
  if (buf->segment < 0 || buf->segment >= GP_NSEGMENTS) return "no such segment";
  if (buf->segment == GP_EXTERN) {
    if (buf->slot < 0 || buf->slot >= plan->n_slots) return "no such slot";
    limit = plan->slot_bytes[buf->slot];
  } else {
    limit = plan->segment_bytes[buf->segment];
  }
  return begin < 0 || end > limit ? "the buffer reaches outside its segment" : NULL;
}

/* An output may be any slice or permutation of a dense array: sorted by stride, each dim must step
 * over all that the smaller ones span. */
static const char *check_output(const gp_plan *plan, const gp_buf *buf) {
  int64_t span = 0;
  int done[GP_MAX_RANK] = {0};
  if (buf->segment == GP_CONST) return "an output lies in the constants";
  if (buf->segment == GP_EXTERN && buf->slot < plan->n_feeds) return "an output lies in a feed";
  for (int i = 0; i < buf->rank; i++)
    if (buf->dims[i] == 0) return NULL;
  for (;;) {
    int next = -1;
    int64_t step = 0;
    for (int i = 0; i < buf->rank; i++) {
      const int64_t s = buf->strides[i] < 0 ? -buf->strides[i] : buf->strides[i];
      if (!done[i] && buf->dims[i] > 1 && (next < 0 || s < step)) next = i, step = s;
    }
    if (next < 0) return NULL;
    if (step <= span) return "an output overlaps itself";
    span += (buf->dims[next] - 1) * step;
    done[next] = 1;
  }
}

static const char *check_insn(const gp_table *table, const gp_plan *plan, const gp_insn *insn) {
  const int64_t n = (int64_t)insn->n_out + insn->n_in;
  if (insn->kernel < 0 || insn->kernel >= table->n_kernels) return "no such kernel";
  if (insn->n_out < 0 || insn->n_in < 0) return "bad number of arguments";
  if (insn->arg < 0 || insn->arg > plan->n_args - n) return "arguments out of range";
  if (insn->n_attr < 0 || insn->n_attr > plan->n_attrs) return "bad number of attributes";
  if (insn->attr < (insn->n_attr ? 0 : -1) || insn->attr > plan->n_attrs - insn->n_attr)
    return "attributes out of range";
  for (int i = 0; i < n; i++) {
    const int32_t buf = plan->args[insn->arg + i];
    if (buf == -1 && i < insn->n_out) continue; /* not wanted: for the kernel's checker to allow */
    if (buf < 0 || buf >= plan->n_bufs) return "no such buffer";
    const char *wrong = i < insn->n_out ? check_output(plan, &plan->bufs[buf]) : NULL;
    if (wrong) return wrong;
  }
  return table->kernels[insn->kernel].check(plan, insn);
}

const char *gp_plan_check(const gp_table *table, const gp_plan *plan, int64_t *insn, int64_t *buf) {
  const char *wrong;
  *insn = *buf = -1;
  for (int64_t i = 0; i < plan->n_bufs; i++)
    if ((wrong = check_buf(plan, &plan->bufs[i]))) return *buf = i, wrong;
  int64_t ends[GP_MAX_DEPTH + 1] = {plan->n_insns}; /* of the spans around instruction i */
  int depth = 0;
  for (int64_t i = 0; i < plan->n_insns; i++) {
    const int64_t span = plan->insns[i].span;
    *insn = i;
    if ((wrong = check_insn(table, plan, &plan->insns[i]))) return wrong;
    while (i >= ends[depth]) depth--;
    if (span < 0 || span >= ends[depth] - i) return "its own instructions reach too far";
    if (span == 0) continue;
    if (depth == GP_MAX_DEPTH) return "loops and conditionals are nested too deep";
    ends[++depth] = i + 1 + span;
  }
  *insn = -1;
  return NULL;
}

/* ---- plan_run ---- */

#if defined(__SSE__) /* denormals cost 100 cycles each: flush them (FTZ, DAZ) while a plan runs */
typedef unsigned fp_mode;
enum { FLUSH = 0x8040 };
static fp_mode fp_flush(void) {
  const fp_mode old = _mm_getcsr();
  if ((old & FLUSH) != FLUSH) _mm_setcsr(old | FLUSH);
  return old;
}
static void fp_restore(fp_mode old) { _mm_setcsr(old); }
static void fp_normal(void) { _mm_setcsr(_mm_getcsr() & ~(unsigned)FLUSH); }
#else
typedef int fp_mode;
static fp_mode fp_flush(void) { return 0; }
static void fp_restore(fp_mode old) { (void)old; }
static void fp_normal(void) {}
#endif

void gp_flush_denormals(void) { fp_flush(); }

static void resolve(gp_run *run) {
  const gp_plan *plan = run->plan;
  if (memcmp(run->base, run->resolved, sizeof run->base)) {
    for (int64_t i = 0; i < plan->n_bufs; i++)
      if (plan->bufs[i].segment != GP_EXTERN)
        run->ptr[i] = run->base[plan->bufs[i].segment] + plan->bufs[i].offset;
    memcpy(run->resolved, run->base, sizeof run->base);
  }
  for (int64_t i = 0; i < run->n_externs; i++) {
    const gp_buf *buf = &plan->bufs[run->externs[i]];
    run->ptr[run->externs[i]] = run->slot[buf->slot] + buf->offset;
  }
}

int gp_run_range(gp_run *run, int64_t first, int64_t end) {
  const gp_insn *insns = run->plan->insns;
  const gp_kernel_entry *kernels = run->table->kernels;
  for (int64_t i = first; i < end; i += 1 + insns[i].span) {
    const int status = kernels[insns[i].kernel].run(run, &insns[i]);
    if (!status) continue;
    if (run->error.insn < 0) run->error.insn = (int32_t)i; /* the innermost */
    return status;
  }
  return GP_OK;
}

static int run_insns(gp_run *run) { return gp_run_range(run, 0, run->plan->n_insns); }

/* Whether threads pay in a run of some microseconds depends on what it costs this machine to bring
 * data from core to core, and on what else it is doing. So both ways are tried, and again now and
 * then; the results are the same. Short runs go alone, long ones never. */
#ifndef GP_TRIALS
#define GP_TRIALS 1
#endif
enum {
  TRIAL_RUNS = 8,         /* each way, at least */
  TRIAL_NS = 300000,      /* with all threads: till workers that slept are certainly awake */
  BETWEEN_NS = 100000000, /* two trials, and */
  BETWEEN_RUNS = 1000,    /* at least, or the slower way costs more than 1 %; but */
  DOUBTFUL_RUNS = 200,    /* where somebody else's threads may have been on the other CPUs */
  SHORT_NS = 5000,
  LONG_NS = 5000000
};

static void end_trial(gp_trial *trial, int64_t took, bool alone) {
  const int64_t runs = BETWEEN_NS / (took > 1000 ? took : 1000);
  const int64_t least = alone ? DOUBTFUL_RUNS : BETWEEN_RUNS;
  *trial = (gp_trial){.wait = runs > least ? runs : least, .alone = alone};
}

static int run_in_trial(gp_run *run) {
  gp_trial *t = &run->trial;
  const int threads = run->threads;
  const bool first = t->start == 0, alone = t->half;
  const uint32_t jobs = gp_jobs();
  const int64_t start = gp_now_ns();
  if (alone) run->threads = 1;
  const int status = run_insns(run);
  run->threads = threads;
  const int64_t end = gp_now_ns(), took = end - start;
  if (first) {
    t->best[0] = t->best[1] = INT64_MAX;
    t->start = start;
  }
  if (took < t->best[!alone]) t->best[!alone] = took;
  t->made++;
  if (first && (jobs == gp_jobs() || took < SHORT_NS))
    end_trial(t, took, true);
  else if (took >= LONG_NS)
    end_trial(t, took, false);
  else if (first)
    gp_wake(threads);
  else if (!alone && t->made >= TRIAL_RUNS && end - t->start >= TRIAL_NS)
    t->half = 1, t->made = 0;
  else if (alone && t->made >= TRIAL_RUNS)
    end_trial(t, took, t->best[0] <= t->best[1]);
  return status;
}

int gp_plan_run(const gp_table *table, gp_run *run) {
  const int threads = run->threads;
  int status;
  resolve(run);
  run->table = table;
  run->error.insn = -1;
#ifdef GP_POISON
  memset(run->base[GP_ARENA], 0xFF, (size_t)run->plan->segment_bytes[GP_ARENA]);
#endif
  const fp_mode mode = fp_flush();
  if (GP_TRIALS && threads > 1 && run->trial.wait == 0) {
    status = run_in_trial(run);
  } else {
    if (run->trial.wait) run->trial.wait--;
    if (run->trial.alone) run->threads = 1;
    status = run_insns(run);
    run->threads = threads;
  }
  fp_restore(mode);
  return status;
}

/* The kernel "host": a Python function, which sees the ordinary floating-point mode. */
int gp_call_host(gp_run *run, const gp_insn *insn) {
  fp_normal();
  const int rc = run->host ? run->host(run->host_data, insn - run->plan->insns) : -1;
  fp_flush();
  if (!rc) return GP_OK;
  run->error = (gp_error){.status = GP_ERR_HOST, .insn = -1};
  return GP_ERR_HOST;
}
