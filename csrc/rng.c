/* Random numbers by Philox4x32-10 (Salmon et al., SC 2011), counter-based: every element is a pure
 * function of (key, counter, its position), so a stream is the same however the work is cut.
 *
 * state = {key, counter} (64 bits each). Block b of a run encrypts the counter words
 *
 *     { low32(counter + b), high32(counter + b), attempt, 0 }  with the key  { low32, high32 }
 *
 * into words w0..w3; attempt is 0 unless said otherwise. From them, in order of elements:
 *
 *   uniform f32   4 a block:  (w >> 8) 2^-24
 *           f64   2 a block:  (w0, w1) and (w2, w3), each ((hi >> 5) 2^26 + (lo >> 6)) 2^-53
 *   normal  f32   4 a block:  z0 z1 z2 z3, the pairs (z0, z1) and (z2, z3) from (u0, u1), (u2, u3)
 *           f64   2 a block:  one pair
 *     a pair from uniforms (u, v): r cos(2 pi v), r sin(2 pi v) with r = sqrt(-2 log(1 - u))
 *   truncated     the normal at attempt 0; an element with |z| > 2 takes what the normal has in its
 *                 place at attempt 1, 2, ... until it is not
 *
 * After a run the counter has advanced by the number of blocks: ceil(n / elements a block). The
 * logarithm and the sine are ours (vmath.h), so that no bit depends on the C library.
 */
#include <math.h>

#include "kernel.h"
#include "philox.h"
#include "vmath.h"

enum { RNG_BLOCKS = 128 }; /* encrypted at once */

/* Word j of blocks counter .. counter + n - 1 to w[j]. */
static void philox(uint64_t key, uint64_t counter, uint32_t attempt, int n,
                   uint32_t w[4][RNG_BLOCKS]) {
  for (int i = 0; i < n; i++) {
    uint32_t block[4];
    philox_block(key, counter + (uint64_t)i, attempt, block);
    for (int j = 0; j < 4; j++) w[j][i] = block[j];
  }
}

/* The conversions go through int32, which every ISA has as an instruction. */
static void uniforms_f32(uint32_t w[4][RNG_BLOCKS], int n, float u[4][RNG_BLOCKS]) {
  for (int j = 0; j < 4; j++)
    for (int i = 0; i < n; i++) u[j][i] = (float)(int32_t)(w[j][i] >> 8) * 0x1p-24f;
}
static void uniforms_f64(uint32_t w[4][RNG_BLOCKS], int n, double u[2][RNG_BLOCKS]) {
  for (int j = 0; j < 2; j++)
    for (int i = 0; i < n; i++) {
      const double high = (double)(int32_t)(w[2 * j + 1][i] >> 5);
      u[j][i] = (high * 0x1p26 + (double)(int32_t)(w[2 * j][i] >> 6)) * 0x1p-53;
    }
}

/* Box and Muller's pairs in place of their uniforms. */
static void pairs_f32(int n, float *restrict u, float *restrict v) {
  for (int i = 0; i < n; i++) {
    float sine, cosine;
    const float r = sqrtf(-2.0f * log_core_f32(1.0f - u[i]));
    sincos_f32(v[i], &sine, &cosine);
    u[i] = r * cosine;
    v[i] = r * sine;
  }
}
static void pairs_f64(int n, double *restrict u, double *restrict v) {
  for (int i = 0; i < n; i++) {
    double sine, cosine;
    const double r = sqrt(-2.0 * log_core_f64(1.0 - u[i]));
    sincos_f64(v[i], &sine, &cosine);
    u[i] = r * cosine;
    v[i] = r * sine;
  }
}

enum { UNIFORM, NORMAL, TRUNCATED };

/* Elements 0 .. per_block - 1 of each of n blocks, and then out[count] of a whole stream. */
#define RANDOM(type, per_block)                                                                   \
  static void blocks_##type(int kind, uint64_t key, uint64_t counter, uint32_t attempt, int n,    \
                            t_##type z[per_block][RNG_BLOCKS]) {                                  \
    uint32_t w[4][RNG_BLOCKS];                                                                    \
    philox(key, counter, attempt, n, w);                                                          \
    uniforms_##type(w, n, z);                                                                     \
    for (int j = 0; kind != UNIFORM && j < per_block; j += 2) pairs_##type(n, z[j], z[j + 1]);    \
  }                                                                                               \
  static void random_##type(int kind, uint64_t key, uint64_t counter, int64_t n, t_##type *out) { \
    t_##type z[per_block][RNG_BLOCKS], again[per_block][RNG_BLOCKS];                              \
    for (int64_t i = 0; i < n; i += per_block * RNG_BLOCKS) {                                     \
      const int m = (int)min_i64(per_block * RNG_BLOCKS, n - i);                                  \
      const uint64_t first = counter + (uint64_t)(i / per_block);                                 \
      blocks_##type(kind, key, first, 0, (m + per_block - 1) / per_block, z);                     \
      for (int j = 0; j < m; j++) {                                                               \
        t_##type x = z[j % per_block][j / per_block];                                             \
        for (uint32_t attempt = 1; kind == TRUNCATED && !(x >= -2 && x <= 2); attempt++) {        \
          blocks_##type(kind, key, first + (uint64_t)(j / per_block), attempt, 1, again);         \
          x = again[j % per_block][0];                                                            \
        }                                                                                         \
        out[i + j] = x;                                                                           \
      }                                                                                           \
    }                                                                                             \
  }
RANDOM(f32, 4)
RANDOM(f64, 2)

/* outs out, state i64[2] */
static int random_any(gp_run *run, const gp_insn *insn, int kind) {
  const gp_buf *out = arg_buf(run->plan, insn, 0);
  const int64_t n = count(out), per_block = out->dtype == GP_F32 ? 4 : 2;
  uint64_t *state = arg_ptr(run, insn, 1);
  if (out->dtype == GP_F32)
    random_f32(kind, state[0], state[1], n, arg_ptr(run, insn, 0));
  else
    random_f64(kind, state[0], state[1], n, arg_ptr(run, insn, 0));
  state[1] += (uint64_t)((n + per_block - 1) / per_block);
  return GP_OK;
}

static int random_uniform_kernel(gp_run *run, const gp_insn *insn) {
  return random_any(run, insn, UNIFORM);
}
static int random_normal_kernel(gp_run *run, const gp_insn *insn) {
  return random_any(run, insn, NORMAL);
}
static int truncated_normal_kernel(gp_run *run, const gp_insn *insn) {
  return random_any(run, insn, TRUNCATED);
}

static const char *random_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 2, 0, 0);
  if (!wrong) wrong = check_float_group(plan, insn, 0, 1);
  if (wrong) return wrong;
  const gp_buf *state = arg_buf(plan, insn, 1);
  if (state->dtype != GP_I64) return "wrong dtype";
  if (state->rank != 1 || state->dims[0] != 2) return "the state is two integers";
  return is_contiguous(state) ? NULL : "an argument is not contiguous";
}
