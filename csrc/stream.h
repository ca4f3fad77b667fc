/* What kernels that reject draws take their words from: a stream of its own for every element, or
 * one for a whole run. The functions of it are ours (vmath.h), so no bit depends on the C library.
 */
#ifndef GRADPLAN_STREAM_H
#define GRADPLAN_STREAM_H

#include "kernel.h"
#include "philox.h"
#include "vmath.h"

/* Blocks {counter, attempt}, two 64-bit words each. An element's own stream counts attempts, the
 * stream of a run the counter. */
typedef struct {
  uint64_t key, counter;
  uint32_t attempt;
  bool own, second;
  uint32_t w[4];
} stream;

static inline stream stream_of_element(uint64_t key, uint64_t counter) {
  return (stream){.key = key, .counter = counter, .own = true};
}
static inline stream stream_of_run(uint64_t key, uint64_t counter) {
  return (stream){.key = key, .counter = counter};
}

static inline uint64_t next_word(stream *s) {
  if (s->second) {
    s->second = false;
    if (s->own)
      s->attempt++;
    else
      s->counter++;
    return (uint64_t)s->w[3] << 32 | s->w[2];
  }
  philox_block(s->key, s->counter, s->attempt, s->w);
  s->second = true;
  return (uint64_t)s->w[1] << 32 | s->w[0];
}

/* In [0, 1), a multiple of 2^-53. */
static inline double next_uniform(stream *s) { return (double)(next_word(s) >> 11) * 0x1p-53; }

/* In [0, n), each with exactly the same probability: D. Lemire, Fast random integer generation in
 * an interval, ACM TOMACS 29 (2019). */
static inline uint64_t next_below(stream *s, uint64_t n) {
  unsigned __int128 m = (unsigned __int128)next_word(s) * n;
  if ((uint64_t)m < n) {
    const uint64_t least = -n % n;
    while ((uint64_t)m < least) m = (unsigned __int128)next_word(s) * n;
  }
  return (uint64_t)(m >> 64);
}

/* By Box and Muller; the second of the pair is not used. */
static inline double next_normal(stream *s) {
  const double u = next_uniform(s), v = next_uniform(s);
  double sine, cosine;
  sincos_f64(v, &sine, &cosine);
  return __builtin_sqrt(-2.0 * log_core_f64(1.0 - u)) * cosine;
}

static inline double real_at(const gp_buf *b, const void *x, int64_t i) {
  return b->dtype == GP_F64 ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

/* The first i with x < sums[i]; if rounding leaves none, the last class of any weight. */
static inline int64_t first_above(const double *sums, int64_t n, double x) {
  int64_t low = 0;
  for (int64_t left = n, half; left > 1; left -= half) { /* without a branch on x */
    half = left / 2;
    low += x >= sums[low + half - 1] ? half : 0;
  }
  while (low > 0 && sums[low] == sums[low - 1]) low--;
  return low;
}

static inline int fail_domain(gp_run *run, int64_t index, double value, enum gp_domain domain) {
  return fail(run, GP_ERR_DOMAIN, index, (int64_t)bits_f64(value), domain);
}

static inline const char *check_state(const gp_plan *plan, const gp_insn *insn, int i) {
  const gp_buf *state = arg_buf(plan, insn, i);
  if (state->dtype != GP_I64) return "wrong dtype";
  if (state->rank != 1 || state->dims[0] != 2) return "the state is two integers";
  return is_contiguous(state) ? NULL : "an argument is not contiguous";
}

static inline const char *check_all_contiguous(const gp_plan *plan, const gp_insn *insn) {
  for (int i = 0; i < insn->n_out + insn->n_in; i++)
    if (!is_contiguous(arg_buf(plan, insn, i))) return "an argument is not contiguous";
  return NULL;
}

#endif
