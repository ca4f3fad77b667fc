/* Vectors as wide as the ISA level has them, for the products: everything else is left to the
 * compiler's vectoriser, but a block of accumulators has to stay in registers. GCC's vector types
 * do the arithmetic; intrinsics only what they have no word for. Types: f32 and f64, by suffix.
 *
 *   V        lanes of a vector              load, store    n = V lanes, unaligned
 *   splat    one value in every lane        load_part, store_part   the first n <= V lanes; zeros
 *   fma      a b + c, fused where the ISA can; the same in every lane
 *   relu     x < 0 ? 0 : x                  gate    y > 0 ? x : 0
 *   lo, hi   within every 16 bytes: the lower (upper) elements of a and b, alternating
 *   parts    a vector whose 16-byte parts are loaded `step` elements apart
 *   fold     the sum of a vector's 16-byte parts, in halves
 */
#ifndef GRADPLAN_SIMD_H
#define GRADPLAN_SIMD_H

#include <stdint.h>
#include <string.h>

#include "vmath.h"

#if defined(__AVX512F__)
#include <immintrin.h>
enum { SIMD_BYTES = 64 };
#elif defined(__AVX2__)
#include <immintrin.h>
enum { SIMD_BYTES = 32 };
#else
enum { SIMD_BYTES = 16 };
#endif
enum { V_f32 = SIMD_BYTES / 4, V_f64 = SIMD_BYTES / 8, LANES_f32 = 4, LANES_f64 = 2 };

typedef float vec_f32 __attribute__((vector_size(SIMD_BYTES)));
typedef double vec_f64 __attribute__((vector_size(SIMD_BYTES)));
typedef float loose_f32 __attribute__((vector_size(SIMD_BYTES), aligned(4), may_alias));
typedef double loose_f64 __attribute__((vector_size(SIMD_BYTES), aligned(8), may_alias));
typedef float part_f32 __attribute__((vector_size(16))); /* 16 bytes */
typedef double part_f64 __attribute__((vector_size(16)));

static inline vec_f32 load_f32(const float *p) { return *(const loose_f32 *)p; }
static inline vec_f64 load_f64(const double *p) { return *(const loose_f64 *)p; }
static inline void store_f32(float *p, vec_f32 x) { *(loose_f32 *)p = x; }
static inline void store_f64(double *p, vec_f64 x) { *(loose_f64 *)p = x; }
static inline vec_f32 splat_f32(float x) { return x - (vec_f32){0}; } /* even -0 and NaN */
static inline vec_f64 splat_f64(double x) { return x - (vec_f64){0}; }

#if defined(__AVX512F__)

static inline vec_f32 fma_f32(vec_f32 a, vec_f32 b, vec_f32 c) { return _mm512_fmadd_ps(a, b, c); }
static inline vec_f64 fma_f64(vec_f64 a, vec_f64 b, vec_f64 c) { return _mm512_fmadd_pd(a, b, c); }
static inline vec_f32 relu_f32(vec_f32 x) {
  return _mm512_max_ps((vec_f32){0}, x);
} /* NaN, -0: x */
static inline vec_f64 relu_f64(vec_f64 x) { return _mm512_max_pd((vec_f64){0}, x); }
static inline vec_f32 gate_f32(vec_f32 x, vec_f32 y) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y, (vec_f32){0}, _CMP_GT_OQ), x);
}
static inline vec_f64 gate_f64(vec_f64 x, vec_f64 y) {
  return _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(y, (vec_f64){0}, _CMP_GT_OQ), x);
}
static inline vec_f32 load_part_f32(const float *p, int64_t n) {
  return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
static inline vec_f64 load_part_f64(const double *p, int64_t n) {
  return _mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
static inline void store_part_f32(float *p, vec_f32 x, int64_t n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
}
static inline void store_part_f64(double *p, vec_f64 x, int64_t n) {
  _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), x);
}

#elif defined(__AVX2__)

static inline vec_f32 fma_f32(vec_f32 a, vec_f32 b, vec_f32 c) { return _mm256_fmadd_ps(a, b, c); }
static inline vec_f64 fma_f64(vec_f64 a, vec_f64 b, vec_f64 c) { return _mm256_fmadd_pd(a, b, c); }
static inline vec_f32 relu_f32(vec_f32 x) {
  return _mm256_max_ps((vec_f32){0}, x);
} /* NaN, -0: x */
static inline vec_f64 relu_f64(vec_f64 x) { return _mm256_max_pd((vec_f64){0}, x); }
static inline vec_f32 gate_f32(vec_f32 x, vec_f32 y) {
  return _mm256_and_ps(_mm256_cmp_ps(y, (vec_f32){0}, _CMP_GT_OQ), x);
}
static inline vec_f64 gate_f64(vec_f64 x, vec_f64 y) {
  return _mm256_and_pd(_mm256_cmp_pd(y, (vec_f64){0}, _CMP_GT_OQ), x);
}
static inline __m256i mask_f32(int64_t n) { /* all ones in the first n lanes */
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline __m256i mask_f64(int64_t n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
static inline vec_f32 load_part_f32(const float *p, int64_t n) {
  return _mm256_maskload_ps(p, mask_f32(n));
}
static inline vec_f64 load_part_f64(const double *p, int64_t n) {
  return _mm256_maskload_pd(p, mask_f64(n));
}
static inline void store_part_f32(float *p, vec_f32 x, int64_t n) {
  _mm256_maskstore_ps(p, mask_f32(n), x);
}
static inline void store_part_f64(double *p, vec_f64 x, int64_t n) {
  _mm256_maskstore_pd(p, mask_f64(n), x);
}

#else

typedef int32_t bits_of_f32 __attribute__((vector_size(SIMD_BYTES)));
typedef int64_t bits_of_f64 __attribute__((vector_size(SIMD_BYTES)));
static inline vec_f32 relu_f32(vec_f32 x) { return (vec_f32)(~(x < 0) & (bits_of_f32)x); }
static inline vec_f64 relu_f64(vec_f64 x) { return (vec_f64)(~(x < 0) & (bits_of_f64)x); }
static inline vec_f32 gate_f32(vec_f32 x, vec_f32 y) { return (vec_f32)((y > 0) & (bits_of_f32)x); }
static inline vec_f64 gate_f64(vec_f64 x, vec_f64 y) { return (vec_f64)((y > 0) & (bits_of_f64)x); }
static inline vec_f32 fma_f32(vec_f32 a, vec_f32 b, vec_f32 c) {
#if defined(__aarch64__)
  for (int i = 0; i < V_f32; i++) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return c;
#else
  return a * b + c;
#endif
}
static inline vec_f64 fma_f64(vec_f64 a, vec_f64 b, vec_f64 c) {
#if defined(__aarch64__)
  for (int i = 0; i < V_f64; i++) c[i] = __builtin_fma(a[i], b[i], c[i]);
  return c;
#else
  return a * b + c;
#endif
}
static inline vec_f32 load_part_f32(const float *p, int64_t n) {
  if (n == 1) return (vec_f32){p[0]};
  return n == 2 ? (vec_f32){p[0], p[1]} : (vec_f32){p[0], p[1], p[2], n == 3 ? 0 : p[3]};
}
static inline vec_f64 load_part_f64(const double *p, int64_t n) {
  return (vec_f64){p[0], n == 1 ? 0 : p[1]};
}
static inline void store_part_f32(float *p, vec_f32 x, int64_t n) {
  for (int64_t i = 0; i < n; i++) p[i] = x[i];
}
static inline void store_part_f64(double *p, vec_f64 x, int64_t n) {
  for (int64_t i = 0; i < n; i++) p[i] = x[i];
}

#endif

/* ---- within 16 bytes ---- */

#if defined(__AVX512F__)
#define SHUFFLE4(a, b, i, j, k, l)                                                           \
  __builtin_shufflevector(a, b, i, j, k, l, i + 4, j + 4, k + 4, l + 4, i + 8, j + 8, k + 8, \
                          l + 8, i + 12, j + 12, k + 12, l + 12)
#define SHUFFLE2(a, b, i, j) \
  __builtin_shufflevector(a, b, i, j, i + 2, j + 2, i + 4, j + 4, i + 6, j + 6)
#elif defined(__AVX2__)
#define SHUFFLE4(a, b, i, j, k, l) \
  __builtin_shufflevector(a, b, i, j, k, l, i + 4, j + 4, k + 4, l + 4)
#define SHUFFLE2(a, b, i, j) __builtin_shufflevector(a, b, i, j, i + 2, j + 2)
#else
#define SHUFFLE4(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#define SHUFFLE2(a, b, i, j) __builtin_shufflevector(a, b, i, j)
#endif

static inline vec_f32 lo_f32(vec_f32 a, vec_f32 b) {
  return SHUFFLE4(a, b, 0, V_f32, 1, V_f32 + 1);
}
static inline vec_f32 hi_f32(vec_f32 a, vec_f32 b) {
  return SHUFFLE4(a, b, 2, V_f32 + 2, 3, V_f32 + 3);
}
static inline vec_f64 lo_f64(vec_f64 a, vec_f64 b) { return SHUFFLE2(a, b, 0, V_f64); }
static inline vec_f64 hi_f64(vec_f64 a, vec_f64 b) { return SHUFFLE2(a, b, 1, V_f64 + 1); }

#if defined(__AVX512F__)

static inline vec_f32 parts_f32(const float *p, int64_t step) {
  __m512 x = _mm512_castps128_ps512(_mm_loadu_ps(p));
  x = _mm512_insertf32x4(x, _mm_loadu_ps(p + step), 1);
  x = _mm512_insertf32x4(x, _mm_loadu_ps(p + 2 * step), 2);
  return _mm512_insertf32x4(x, _mm_loadu_ps(p + 3 * step), 3);
}
static inline vec_f64 parts_f64(const double *p, int64_t step) {
  __m512d x = _mm512_castpd128_pd512(_mm_loadu_pd(p));
  x = _mm512_insertf64x2(x, _mm_loadu_pd(p + step), 1);
  x = _mm512_insertf64x2(x, _mm_loadu_pd(p + 2 * step), 2);
  return _mm512_insertf64x2(x, _mm_loadu_pd(p + 3 * step), 3);
}
static inline part_f32 fold_f32(vec_f32 x) {
  const __m256 y = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  return _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
}
static inline part_f64 fold_f64(vec_f64 x) {
  const __m256d y = _mm256_add_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd(x, 1));
  return _mm_add_pd(_mm256_castpd256_pd128(y), _mm256_extractf128_pd(y, 1));
}

#elif defined(__AVX2__)

static inline vec_f32 parts_f32(const float *p, int64_t step) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + step), 1);
}
static inline vec_f64 parts_f64(const double *p, int64_t step) {
  return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(p + step), 1);
}
static inline part_f32 fold_f32(vec_f32 x) {
  return _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
}
static inline part_f64 fold_f64(vec_f64 x) {
  return _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
}

#else

static inline vec_f32 parts_f32(const float *p, int64_t step) { return (void)step, load_f32(p); }
static inline vec_f64 parts_f64(const double *p, int64_t step) { return (void)step, load_f64(p); }
static inline part_f32 fold_f32(vec_f32 x) { return x; }
static inline part_f64 fold_f64(vec_f64 x) { return x; }

#endif

/* A square of LANES x LANES in every 16 bytes, transposed: rows x[i] become columns. */
static inline void transpose_f32(vec_f32 x[4]) {
  const vec_f32 a = lo_f32(x[0], x[2]), b = lo_f32(x[1], x[3]);
  const vec_f32 c = hi_f32(x[0], x[2]), d = hi_f32(x[1], x[3]);
  x[0] = lo_f32(a, b), x[1] = hi_f32(a, b), x[2] = lo_f32(c, d), x[3] = hi_f32(c, d);
}
static inline void transpose_f64(vec_f64 x[2]) {
  const vec_f64 a = lo_f64(x[0], x[1]), b = hi_f64(x[0], x[1]);
  x[0] = a, x[1] = b;
}

/* The sums of LANES vectors, one a lane. */
static inline part_f32 sums_f32(const vec_f32 x[4]) {
  const vec_f32 a = lo_f32(x[0], x[2]) + hi_f32(x[0], x[2]);
  const vec_f32 b = lo_f32(x[1], x[3]) + hi_f32(x[1], x[3]);
  return fold_f32(lo_f32(a, b) + hi_f32(a, b));
}
static inline part_f64 sums_f64(const vec_f64 x[2]) {
  return fold_f64(lo_f64(x[0], x[1]) + hi_f64(x[0], x[1]));
}

/* The same for one square in memory: to[i to_step + j] = from[j from_step + i]. */
static inline void turn_f32(const float *from, int64_t from_step, float *to, int64_t to_step) {
  part_f32 x[4];
  for (int i = 0; i < 4; i++) memcpy(&x[i], from + i * from_step, sizeof x[i]);
#define LO(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HI(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
  const part_f32 a = LO(x[0], x[2]), b = LO(x[1], x[3]), c = HI(x[0], x[2]), d = HI(x[1], x[3]);
  x[0] = LO(a, b), x[1] = HI(a, b), x[2] = LO(c, d), x[3] = HI(c, d);
#undef LO
#undef HI
  for (int i = 0; i < 4; i++) memcpy(to + i * to_step, &x[i], sizeof x[i]);
}
static inline void turn_f64(const double *from, int64_t from_step, double *to, int64_t to_step) {
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) to[i * to_step + j] = from[j * from_step + i];
}

#endif
