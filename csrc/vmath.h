/* Scalar mathematics written so that a loop around it becomes SIMD: no branches, no calls, no
 * tables, no traps. Every function takes every float, NaN and infinities included; results below
 * the normal range may come out as zero (runs flush denormals).
 *
 * Errors (units in the last place, measured by tests/test_core.py): 2 for exp, log; 4 for the rest.
 * The polynomials are Chebyshev fits on the reduced interval; log is FreeBSD's (Sun's) formula.
 * FMA is used where the ISA has it, and only here: everything else is compiled with
 * -ffp-contract=off, so that fusing operations into one tile program never changes a bit.
 */
#ifndef GRADPLAN_VMATH_H
#define GRADPLAN_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__FMA__) || defined(__aarch64__)
static inline float mad_f32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline double mad_f64(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
static inline float mad_f32(float a, float b, float c) { return a * b + c; }
static inline double mad_f64(double a, double b, double c) { return a * b + c; }
#endif

static inline uint32_t bits_f32(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}
static inline uint64_t bits_f64(double x) {
  uint64_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}
static inline float from_bits_f32(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}
static inline double from_bits_f64(uint64_t u) {
  double x;
  memcpy(&x, &u, sizeof x);
  return x;
}

/* ---- exp and its family ----
 * x = n ln 2 + r with |r| <= ln 2 / 2. Adding 1.5 * 2^(mantissa bits) rounds to an integer and
 * leaves n in the low bits: no conversion, hence nothing undefined for NaN. */

static inline float exp_reduce_f32(float x, uint32_t *n) { /* returns r */
  const float shift = 0x1.8p23f, shifted = mad_f32(x, 1.44269504f, shift), k = shifted - shift;
  *n = bits_f32(shifted) - bits_f32(shift);
  return mad_f32(k, 2.12194440e-4f, mad_f32(k, -0.693359375f, x));
}
static inline double exp_reduce_f64(double x, uint64_t *n) {
  const double shift = 0x1.8p52, shifted = mad_f64(x, 1.44269504088896340736, shift);
  const double k = shifted - shift;
  *n = bits_f64(shifted) - bits_f64(shift);
  return mad_f64(k, -1.90821492927058770002e-10, mad_f64(k, -6.93147180369123816490e-01, x));
}

static inline float expm1_poly_f32(float r) { /* exp(r) - 1 on the reduced interval */
  float q = 1.392625083e-03f;
  q = mad_f32(q, r, 8.363232884e-03f);
  q = mad_f32(q, r, 4.166655421e-02f);
  q = mad_f32(q, r, 1.666657667e-01f);
  q = mad_f32(q, r, 5.000000000e-01f);
  return mad_f32(r * r, q, r);
}
static inline double expm1_poly_f64(double r) {
  double q = 2.09147553258932021e-09;
  q = mad_f64(q, r, 2.51053127296221029e-08);
  q = mad_f64(q, r, 2.75572734787185824e-07);
  q = mad_f64(q, r, 2.75572551700008879e-06);
  q = mad_f64(q, r, 2.48015873256774607e-05);
  q = mad_f64(q, r, 1.98412698750022792e-04);
  q = mad_f64(q, r, 1.38888888888837113e-03);
  q = mad_f64(q, r, 8.33333333332608381e-03);
  q = mad_f64(q, r, 4.16666666666666713e-02);
  q = mad_f64(q, r, 1.66666666666666713e-01);
  q = mad_f64(q, r, 5.00000000000000000e-01);
  return mad_f64(r * r, q, r);
}

/* 2^n is applied in two halves, since it may lie outside the range though the result does not. */
static inline float exp_f32(float x) {
  uint32_t n, half;
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float p = 1.0f + expm1_poly_f32(exp_reduce_f32(x, &n));
  n += 256; /* positive, so that a logical shift halves it */
  half = n >> 1;
  return p * from_bits_f32((half - 1) << 23) * from_bits_f32((n - half - 1) << 23);
}
static inline double exp_f64(double x) {
  uint64_t n, half;
  x = x < -746.0 ? -746.0 : x;
  x = x > 710.0 ? 710.0 : x;
  const double p = 1.0 + expm1_poly_f64(exp_reduce_f64(x, &n));
  n += 2048;
  half = n >> 1;
  return p * from_bits_f64((half - 1) << 52) * from_bits_f64((n - half - 1) << 52);
}

/* exp(x) - 1 = 2 (s p + (s - 1/2)) with s = 2^(n-1), which is in range for every n. */
static inline float expm1_f32(float x) {
  uint32_t n;
  const float zero = x;
  x = x < -20.0f ? -20.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float p = expm1_poly_f32(exp_reduce_f32(x, &n));
  const float s = from_bits_f32((n + 126) << 23);
  const float y = 2.0f * mad_f32(s, p, s - 0.5f);
  return zero == 0 ? zero : y; /* keeps the sign of zero */
}
static inline double expm1_f64(double x) {
  uint64_t n;
  const double zero = x;
  x = x < -40.0 ? -40.0 : x;
  x = x > 710.0 ? 710.0 : x;
  const double p = expm1_poly_f64(exp_reduce_f64(x, &n));
  const double s = from_bits_f64((n + 1022) << 52);
  const double y = 2.0 * mad_f64(s, p, s - 0.5);
  return zero == 0 ? zero : y;
}

/* exp(-x) = 2^n p, of which nothing is lost where the sum with 1 is not 1 or the result a normal
 * number: 2^n may be inf. */
static inline float sigmoid_f32(float x) {
  uint32_t n;
  float y = -x;
  y = y < -87.0f ? -87.0f : y;
  y = y > 89.0f ? 89.0f : y;
  const float p = 1.0f + expm1_poly_f32(exp_reduce_f32(y, &n));
  return 1.0f / mad_f32(p, from_bits_f32((n + 127) << 23), 1.0f);
}
static inline double sigmoid_f64(double x) {
  uint64_t n;
  double y = -x;
  y = y < -708.0 ? -708.0 : y;
  y = y > 710.0 ? 710.0 : y;
  const double p = 1.0 + expm1_poly_f64(exp_reduce_f64(y, &n));
  return 1.0 / mad_f64(p, from_bits_f64((n + 1023) << 52), 1.0);
}

/* tanh |x| = -m / (m + 1) with m = (exp(-2 |x|) - 1) / 2, in which nothing overflows. */
static inline float tanh_f32(float x) {
  uint32_t n;
  float y = __builtin_fabsf(x);
  y = y > 10.0f ? 10.0f : y;
  const float p = expm1_poly_f32(exp_reduce_f32(-2.0f * y, &n));
  const float s = from_bits_f32((n + 126) << 23), m = mad_f32(s, p, s - 0.5f);
  return __builtin_copysignf(m / (m + 1.0f), x);
}
static inline double tanh_f64(double x) {
  uint64_t n;
  double y = __builtin_fabs(x);
  y = y > 20.0 ? 20.0 : y;
  const double p = expm1_poly_f64(exp_reduce_f64(-2.0 * y, &n));
  const double s = from_bits_f64((n + 1022) << 52), m = mad_f64(s, p, s - 0.5);
  return __builtin_copysign(m / (m + 1.0), x);
}

/* ---- log and its family ----
 * x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)). */

static inline float log_core_f32(float x) { /* positive and normal x only */
  const uint32_t u = bits_f32(x) + (0x3f800000 - 0x3f3504f3);
  const float f = from_bits_f32((u & 0x007fffff) + 0x3f3504f3) - 1.0f;
  const float k = (float)((int32_t)(u >> 23) - 127);
  const float s = f / (2.0f + f), z = s * s, w = z * z, half = 0.5f * f * f;
  const float t1 = w * mad_f32(w, 0xf89e26.0p-26f, 0xccce13.0p-25f);
  const float t2 = z * mad_f32(w, 0x91e9ee.0p-25f, 0xaaaaaa.0p-24f);
  return mad_f32(k, 6.9313812256e-01f,
                 f - (half - mad_f32(s, half + (t1 + t2), k * 9.0580006145e-06f)));
}
static inline double log_core_f64(double x) {
  const uint64_t u = bits_f64(x) + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd);
  const double f = from_bits_f64((u & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd) - 1.0;
  /* the exponent as a double by way of its bits: AVX2 cannot convert 64-bit integers */
  const double k = from_bits_f64((u >> 52) | 0x4330000000000000) - (0x1p52 + 1023.0);
  const double s = f / (2.0 + f), z = s * s, w = z * z, half = 0.5 * f * f;
  double t1 = 1.531383769920937332e-01, t2 = 1.479819860511658591e-01;
  t1 = w * mad_f64(w, mad_f64(w, t1, 2.222219843214978396e-01), 3.999999999940941908e-01);
  t2 = mad_f64(w, mad_f64(w, t2, 1.818357216161805012e-01), 2.857142874366239149e-01);
  t2 = z * mad_f64(w, t2, 6.666666666666735130e-01);
  return mad_f64(k, 6.93147180369123816490e-01,
                 f - (half - mad_f64(s, half + (t1 + t2), k * 1.90821492927058770002e-10)));
}

static inline float log_f32(float x) {
  float y = log_core_f32(x);
  y = x < INFINITY ? y : x; /* inf and NaN are their own logarithms */
  y = x < 0x1p-126f ? -INFINITY : y;
  return x < 0 ? NAN : y;
}
static inline double log_f64(double x) {
  double y = log_core_f64(x);
  y = x < INFINITY ? y : x;
  y = x < 0x1p-1022 ? -INFINITY : y;
  return x < 0 ? NAN : y;
}

/* log(1 + x) = log(u) + (x - (u - 1)) / u with u = 1 + x rounded: the quotient is what was lost. */
static inline float log1p_f32(float x) {
  const float u = 1.0f + x, log_u = log_f32(u);
  const float y = log_u + (x - (u - 1.0f)) / u;
  const float z = (u > 0) & (u < INFINITY) ? y : log_u;
  return x == 0 ? x : z; /* keeps the sign of zero */
}
static inline double log1p_f64(double x) {
  const double u = 1.0 + x, log_u = log_f64(u);
  const double y = log_u + (x - (u - 1.0)) / u;
  const double z = (u > 0) & (u < INFINITY) ? y : log_u;
  return x == 0 ? x : z;
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + e), e = exp(-|x|) in [0, 1]: no special cases inside. */
static inline float softplus_f32(float x) {
  const float e = exp_f32(-__builtin_fabsf(x)), u = 1.0f + e;
  return (x < 0 ? 0 : x) + (log_core_f32(u) + (e - (u - 1.0f)) / u);
}
static inline double softplus_f64(double x) {
  const double e = exp_f64(-__builtin_fabs(x)), u = 1.0 + e;
  return (x < 0 ? 0 : x) + (log_core_f64(u) + (e - (u - 1.0)) / u);
}

/* ---- powers, of floats by way of doubles, in which nothing of y log |x| is lost ----
 * The sign of x stays if y is odd; a negative number has no power that is no integer. */

static inline float pow_f32(float x, float y) {
  const float half = 0.5f * y, size = __builtin_fabsf(x);
  const int whole = __builtin_rintf(y) == y, odd = whole & (__builtin_rintf(half) != half);
  float p = (float)exp_f64((double)y * log_f64((double)size));
  p = (y == 0) | (x == 1) | ((x == -1) & (__builtin_fabsf(y) == INFINITY)) ? 1 : p;
  p = (x < 0) & (size < INFINITY) & !whole & (y == y) ? NAN : p;
  return odd ? __builtin_copysignf(p, x) : p;
}

/* ---- sin and cos, |x| < SINE_BOUND ----
 * x = q pi / 2 + r, |r| <= pi / 4. The parts of pi / 2 are so short that their products with q are
 * exact, so that nothing is lost where r is small, with FMA or without. */

#define SINE_BOUND 4096

static inline void sine_reduce_f32(float x, uint32_t *q, float *sine, float *cosine) {
  const float shift = 0x1.8p23f, shifted = mad_f32(x, 0.636619772f, shift), n = shifted - shift;
  const float r = mad_f32(n, -0x1.444p-24f, mad_f32(n, -0x1.fb4p-12f, mad_f32(n, -0x1.92p0f, x)));
  const float a = mad_f32(n, -0x1.68c234p-39f, r), t = a * a;
  float s = mad_f32(mad_f32(t, -1.951521592e-04f, 8.332160272e-03f), t, -1.666665460e-01f);
  float c = mad_f32(mad_f32(t, 2.443308151e-05f, -1.388731560e-03f), t, 4.166664567e-02f);
  *q = bits_f32(shifted);
  *sine = mad_f32(a * t, s, a);
  *cosine = mad_f32(t * t, c, mad_f32(t, -0.5f, 1.0f));
}
static inline void sine_reduce_f64(double x, uint64_t *q, double *sine, double *cosine) {
  const double shift = 0x1.8p52, shifted = mad_f64(x, 0.63661977236758134308, shift);
  const double n = shifted - shift;
  const double r = mad_f64(n, -0x1.a308d31318p-41, mad_f64(n, -0x1.921fb54442p0, x));
  const double a = mad_f64(n, -0x1.8a2e03707344ap-81, r), t = a * a;
  double s = 1.58961977443534076e-10, c = -1.13679818814920441e-11;
  s = mad_f64(mad_f64(s, t, -2.5050747220329946e-08), t, 2.75573136180346411e-06);
  s = mad_f64(mad_f64(s, t, -1.98412698295802387e-04), t, 8.33333333332210748e-03);
  s = mad_f64(s, t, -1.66666666666666307e-01);
  c = mad_f64(mad_f64(c, t, 2.08758977386999743e-09), t, -2.755731573861338e-07);
  c = mad_f64(mad_f64(c, t, 2.48015872946280057e-05), t, -1.38888888888828391e-03);
  c = mad_f64(c, t, 4.16666666666666513e-02);
  *q = bits_f64(shifted);
  *sine = mad_f64(a * t, s, a);
  *cosine = mad_f64(t * t, c, mad_f64(t, -0.5, 1.0));
}

static inline float sin_f32(float x) {
  uint32_t q;
  float s, c;
  sine_reduce_f32(x, &q, &s, &c);
  s = q & 1 ? c : s;
  s = q & 2 ? -s : s;
  return x == 0 ? x : s; /* keeps the sign of zero */
}
static inline float cos_f32(float x) {
  uint32_t q;
  float s, c;
  sine_reduce_f32(x, &q, &s, &c);
  c = q & 1 ? s : c;
  return (q + 1) & 2 ? -c : c;
}
static inline double sin_f64(double x) {
  uint64_t q;
  double s, c;
  sine_reduce_f64(x, &q, &s, &c);
  s = q & 1 ? c : s;
  s = q & 2 ? -s : s;
  return x == 0 ? x : s; /* keeps the sign of zero */
}
static inline double cos_f64(double x) {
  uint64_t q;
  double s, c;
  sine_reduce_f64(x, &q, &s, &c);
  c = q & 1 ? s : c;
  return (q + 1) & 2 ? -c : c;
}

/* erf(x) = x p(x x) for |x| < 1, and 1 - exp(q(|x|)) up to 4, from where on it is 1. */
static inline float erf_f32(float x) {
  float a = __builtin_fabsf(x);
  a = a > 4.0f ? 4.0f : a;
  const float t = a * a;
  float p = 7.85384530e-05f, q = -2.16975537e-05f;
  p = mad_f32(mad_f32(p, t, -8.01018845e-04f), t, 5.18832705e-03f);
  p = mad_f32(mad_f32(p, t, -2.68538116e-02f), t, 1.12835851e-01f);
  p = mad_f32(mad_f32(p, t, -3.76126258e-01f), t, 1.12837917e+00f);
  q = mad_f32(mad_f32(q, a, 4.41471899e-04f), a, -4.20528082e-03f);
  q = mad_f32(mad_f32(q, a, 2.52103286e-02f), a, -1.08422081e-01f);
  q = mad_f32(mad_f32(q, a, -6.33216415e-01f), a, -1.12958030e+00f);
  q = mad_f32(q, a, 1.88465648e-04f);
  return a < 1.0f ? x * p : __builtin_copysignf(expm1_f32(q), x);
}
static inline double erf_f64(double x) { return erf(x); }

/* ---- square root ----
 * For loops that keep the divider busy already. y near 1 / sqrt(x) comes from the bits (the
 * exponent halved and negated) and one step of Newton's iteration with fitted constants, 7e-4 off;
 * then s = x y is corrected by what x y y lacks to 1: sqrt(x) = s (1 - 2r)^(-1/2). At most 1 ulp
 * off; exact at 0 and infinity; NaN below 0. */

static inline float newton_sqrt_f32(float x) {
  float y = from_bits_f32(0x5f1ffff9 - (bits_f32(x) >> 1));
  y = y * 0.703952253f * mad_f32(x * y, -y, 2.38924456f);
  const float s = x * y, r = mad_f32(s, -0.5f * y, 0.5f);
  const float root = mad_f32(s, r * mad_f32(r, 1.5f, 1.0f), s);
  /* what is left is infinite, NaN or negative: the sum is infinite or NaN */
  return bits_f32(x) < 0x7f800000 ? root : mad_f32(x, INFINITY, INFINITY);
}
static inline double newton_sqrt_f64(double x) {
  double y = from_bits_f64(0x5fe3ffff20000000 - (bits_f64(x) >> 1));
  y = y * 0.703952253 * mad_f64(x * y, -y, 2.38924456);
  y = y * mad_f64(x * y, -0.5 * y, 1.5);
  const double s = x * y, r = mad_f64(s, -0.5 * y, 0.5);
  const double root = mad_f64(s, r * mad_f64(r, 1.5, 1.0), s);
  return bits_f64(x) < 0x7ff0000000000000 ? root : mad_f64(x, INFINITY, INFINITY);
}

/* ---- float16 and bfloat16, as their bits ----
 * Rounded to nearest, halves to even; every NaN becomes the quiet one of its sign. No step meets a
 * denormal float, which would be flushed: those of float16 are made and taken apart by an addition
 * in which they are the low bits of a normal number. */

static inline float widen_f16(uint16_t h) {
  const uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
  const float small = from_bits_f32(magnitude + 0x38800000) - 0x1p-14f; /* below 2^-14 */
  const uint32_t normal = magnitude + (magnitude < 0x0f800000 ? 0x38000000 : 0x70000000);
  return from_bits_f32((magnitude < 0x00800000 ? bits_f32(small) : normal) | sign);
}
static inline uint16_t narrow_f16(float x) {
  const uint32_t u = bits_f32(x), magnitude = u & 0x7fffffff, sign = u >> 16 & 0x8000;
  const uint32_t small = bits_f32(from_bits_f32(magnitude) + 0.5f) - 0x3f000000;
  const uint32_t normal = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
  uint32_t h = magnitude < 0x38800000 ? small : normal;
  h = magnitude < 0x477ff000 ? h : 0x7c00; /* 65520 and above are rounded to infinity */
  h = magnitude > 0x7f800000 ? 0x7e00 : h;
  return (uint16_t)(h | sign);
}
static inline float widen_bf16(uint16_t h) { return from_bits_f32((uint32_t)h << 16); }
static inline uint16_t narrow_bf16(float x) {
  const uint32_t u = bits_f32(x), rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
  return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? (u >> 16 & 0x8000) | 0x7fc0 : rounded);
}
/* A double as a float that rounds further as the double itself would: towards zero, and then the
 * last bit says whether anything was lost. */
static inline float to_odd(double x) {
  const float y = (float)x;
  const double back = y;
  const uint32_t u = bits_f32(y);
  const uint32_t cut = (__builtin_fabs(back) > __builtin_fabs(x) ? u - 1 : u) | 1;
  return back == x || x != x ? y : from_bits_f32(cut);
}

/* ---- sin and cos of 2 pi u, 0 <= u < 1 ----
 * u = q / 4 + r exactly, |r| <= 1/8, then a rotation by q quarter turns. */

static inline void sincos_f32(float u, float *sine, float *cosine) {
  const float shift = 0x1.8p23f, shifted = 4.0f * u + shift;
  const uint32_t q = bits_f32(shifted);
  const float r = u - 0.25f * (shifted - shift), t = r * r;
  float s = -7.540148328e+01f, c = 5.942402445e+01f;
  s = mad_f32(mad_f32(mad_f32(s, t, 8.159254034e+01f), t, -4.134166256e+01f), t, 6.283185288f) * r;
  c = mad_f32(mad_f32(c, t, -8.544881850e+01f), t, 6.493936904e+01f);
  c = mad_f32(mad_f32(c, t, -1.973920879e+01f), t, 1.0f);
  const float a = q & 1 ? c : s, b = q & 1 ? s : c;
  *sine = q & 2 ? -a : a;
  *cosine = (q + 1) & 2 ? -b : b;
}
static inline void sincos_f64(double u, double *sine, double *cosine) {
  const double shift = 0x1.8p52, shifted = 4.0 * u + shift;
  const uint64_t q = bits_f64(shifted);
  const double r = u - 0.25 * (shifted - shift), t = r * r;
  double s = 3.78086506975341674, c = -1.69903286500554573;
  s = mad_f64(mad_f64(s, t, -1.50938040428410787e+01), t, 4.20586850174895801e+01);
  s = mad_f64(mad_f64(s, t, -7.67058597042550758e+01), t, 8.16052492759479691e+01);
  s = mad_f64(mad_f64(s, t, -4.13417022403996341e+01), t, 6.28318530717958623) * r;
  c = mad_f64(mad_f64(c, t, 7.90320684586156119), t, -2.64262532748045871e+01);
  c = mad_f64(mad_f64(c, t, 6.02446413526943516e+01), t, -8.54568172066437768e+01);
  c = mad_f64(mad_f64(c, t, 6.49393940226682389e+01), t, -1.97392088021787160e+01);
  c = mad_f64(c, t, 1.0);
  const double a = q & 1 ? c : s, b = q & 1 ? s : c;
  *sine = q & 2 ? -a : a;
  *cosine = (q + 1) & 2 ? -b : b;
}

#endif
