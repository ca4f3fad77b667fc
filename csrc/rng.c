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
 *   integers i32  4 a block:  low + floor(w range / 2^32), where w is drawn again at the next
 * attempt if w range mod 2^32 < 2^32 mod range, so that all are as likely (D. Lemire, ACM TOMACS
 * 29, 2019) i64  2 a block:  the same of (w0, w1) and (w2, w3), with 2^64
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

/* ---- integers ---- */

/* Element i of `out` in [low, high) of parameter i mod n_param; `wide` holds a product. */
#define RANDOM_INTS(type, per_block, wide, bits, WORD)                                         \
  static void random_ints_##type(uint64_t key, uint64_t counter, int64_t n, t_##type *out,     \
                                 const t_##type *low, const t_##type *high, int64_t n_param) { \
    uint32_t w[4][RNG_BLOCKS], again[4][RNG_BLOCKS];                                           \
    for (int64_t i = 0; i < n; i += per_block * RNG_BLOCKS) {                                  \
      const int m = (int)min_i64(per_block * RNG_BLOCKS, n - i);                               \
      const uint64_t first = counter + (uint64_t)(i / per_block);                              \
      philox(key, first, 0, (m + per_block - 1) / per_block, w);                               \
      for (int j = 0; j < m; j++) {                                                            \
        const int64_t p = n_param == 1 ? 0 : (i + j) % n_param;                                \
        const u_##type start = (u_##type)low[p], range = (u_##type)high[p] - start;            \
        const int b = j / per_block, q = j % per_block;                                        \
        wide x = (wide)WORD(w, q, b) * range;                                                  \
        if ((u_##type)x < range) {                                                             \
          const u_##type least = (u_##type) - range % (range ? range : 1);                     \
          for (uint32_t attempt = 1; (u_##type)x < least; attempt++) {                         \
            philox(key, first + (uint64_t)b, attempt, 1, again);                               \
            x = (wide)WORD(again, q, 0) * range;                                               \
          }                                                                                    \
        }                                                                                      \
        out[i + j] = (t_##type)(start + (u_##type)(x >> bits));                                \
      }                                                                                        \
    }                                                                                          \
  }
#define WORD_32(w, q, b) w[q][b]
#define WORD_64(w, q, b) ((uint64_t)w[2 * (q) + 1][b] << 32 | w[2 * (q)][b])
RANDOM_INTS(i32, 4, uint64_t, 32, WORD_32)
RANDOM_INTS(i64, 2, unsigned __int128, 64, WORD_64)

/* outs out, state; ins minval, maxval: both of the last dims of out, or scalars */
static int random_uniform_int_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0), *param = arg_buf(run->plan, insn, 2);
  const int64_t n = count(out), n_param = count(param), per_block = out->dtype == GP_I32 ? 4 : 2;
  uint64_t *state = arg_ptr(run, insn, 1);
  const void *low = arg_ptr(run, insn, 2), *high = arg_ptr(run, insn, 3);
  for (int64_t i = 0; n && i < n_param; i++) { /* nothing needs no bounds */
    const int64_t a = label_at(low, per_block == 2, i), b = label_at(high, per_block == 2, i);
    if (a >= b) return fail(run, GP_ERR_BOUNDS, i, a, b);
  }
  if (per_block == 4)
    random_ints_i32(state[0], state[1], n, arg_ptr(run, insn, 0), low, high, n_param);
  else
    random_ints_i64(state[0], state[1], n, arg_ptr(run, insn, 0), low, high, n_param);
  state[1] += (uint64_t)((n + per_block - 1) / per_block);
  return GP_OK;
}

static const char *random_uniform_int_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 2, 2, 0);
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0), *state = arg_buf(plan, insn, 1);
  const gp_buf *low = arg_buf(plan, insn, 2), *high = arg_buf(plan, insn, 3);
  if (state->dtype != GP_I64 || !is_index(out)) return "wrong dtype";
  if (low->dtype != out->dtype || high->dtype != out->dtype) return "wrong dtype";
  if (state->rank != 1 || state->dims[0] != 2) return "the state is two integers";
  if (!same_dims(low, high) || low->rank > out->rank) return "shapes disagree";
  for (int i = 0; i < low->rank; i++)
    if (low->dims[i] != out->dims[out->rank - low->rank + i]) return "shapes disagree";
  for (int i = 0; i < 4; i++)
    if (!is_contiguous(arg_buf(plan, insn, i))) return "an argument is not contiguous";
  return NULL;
}
