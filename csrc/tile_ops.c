/* The operations of tile programs: one loop for each line and type of tile.def, and their table. */
#include "kernel.h"
#include "vmath.h"

static inline int32_t floordiv_i32(int32_t x, int32_t y) {
  if (y == -1) return (int32_t)(0 - (uint32_t)x); /* INT_MIN / -1 traps on x86 */
  return x / y - ((x % y != 0) & ((x ^ y) < 0));
}
static inline int64_t floordiv_i64(int64_t x, int64_t y) {
  if (y == -1) return (int64_t)(0 - (uint64_t)x);
  return x / y - ((x % y != 0) & ((x ^ y) < 0));
}
static inline int32_t floormod_i32(int32_t x, int32_t y) {
  const int32_t r = y == -1 ? 0 : x % y;
  return r + ((r != 0) & ((r ^ y) < 0) ? y : 0);
}
static inline int64_t floormod_i64(int64_t x, int64_t y) {
  const int64_t r = y == -1 ? 0 : x % y;
  return r + ((r != 0) & ((r ^ y) < 0) ? y : 0);
}

/* NumPy's npy_divmod: the remainder is exact, the quotient is made to agree with it. */
static inline double floormod_f64(double x, double y) {
  const double r = fmod(x, y);
  if (y == 0) return r; /* NaN */
  if (r == 0) return copysign(0.0, y);
  return (y < 0) != (r < 0) ? r + y : r;
}
static inline double floordiv_f64(double x, double y) {
  if (y == 0) return x / y;
  const double r = fmod(x, y);
  double q = (x - r) / y;
  if (r != 0 && (y < 0) != (r < 0)) q -= 1;
  if (q == 0) return copysign(0.0, x / y);
  const double down = floor(q);
  return q - down > 0.5 ? down + 1 : down;
}
static inline float floormod_f32(float x, float y) {
  const float r = fmodf(x, y);
  if (y == 0) return r;
  if (r == 0) return copysignf(0.0f, y);
  return (y < 0) != (r < 0) ? r + y : r;
}
static inline float floordiv_f32(float x, float y) {
  if (y == 0) return x / y;
  const float r = fmodf(x, y);
  float q = (x - r) / y;
  if (r != 0 && (y < 0) != (r < 0)) q -= 1;
  if (q == 0) return copysignf(0.0f, x / y);
  const float down = floorf(q);
  return q - down > 0.5f ? down + 1 : down;
}

static inline int32_t truncatediv_i32(int32_t x, int32_t y) {
  return y == -1 ? (int32_t)(0 - (uint32_t)x) : x / y;
}
static inline int64_t truncatediv_i64(int64_t x, int64_t y) {
  return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}
static inline int32_t truncatemod_i32(int32_t x, int32_t y) { return y == -1 ? 0 : x % y; }
static inline int64_t truncatemod_i64(int64_t x, int64_t y) { return y == -1 ? 0 : x % y; }

static inline uint64_t power_u64(uint64_t x, uint64_t y) {
  uint64_t r = 1;
  for (; y; y >>= 1, x *= x)
    if (y & 1) r *= x;
  return r;
}
static inline int32_t power_i32(int32_t x, int32_t y) {
  return (int32_t)(uint32_t)power_u64((uint64_t)x, (uint64_t)y);
}
static inline int64_t power_i64(int64_t x, int64_t y) {
  return (int64_t)power_u64((uint64_t)x, (uint64_t)y);
}

static inline float lgamma_f32(float x) { /* the sign goes to a place of our own, not a global */
  int sign;
  return lgammaf_r(x, &sign);
}
static inline double lgamma_f64(double x) {
  int sign;
  return lgamma_r(x, &sign);
}

/* x x for a power of 2, as it is written elsewhere: the same bits everywhere. */
static inline float power_f32(float x, float y) { return y == 2 ? x * x : pow_f32(x, y); }
static inline double power_f64(double x, double y) { return y == 2 ? x * x : pow(x, y); }

#define BY_TYPE(f, x) \
  _Generic((x), default: f##_i32, int64_t: f##_i64, float: f##_f32, double: f##_f64)
#define BY_INT(f, x) _Generic((x), default: f##_i32, int64_t: f##_i64)
#define truncatediv(x, y) BY_INT(truncatediv, x)(x, y)
#define truncatemod(x, y) BY_INT(truncatemod, x)(x, y)
#define floordiv(x, y) BY_TYPE(floordiv, x)(x, y)
#define floormod(x, y) BY_TYPE(floormod, x)(x, y)
#define power(x, y) \
  _Generic((x), int32_t: power_i32, int64_t: power_i64, float: power_f32, double: power_f64)(x, y)
#define square_root(x) _Generic((x), float: sqrtf, double: sqrt)(x)
#define F(f) _Generic((T)0, float: f##_f32, double: f##_f64) /* of vmath.h */
#define LIBM(name) _Generic((T)0, float: name##f, double: name)
/* Klambauer et al., Self-Normalizing Neural Networks, 2017: the scale, and it times alpha. */
#define SELU_SCALE 1.0507009873554804934193349852946
#define SELU_LOW 1.7580993408473768599402175208123

#define EACH_BOOLS(M, ...) M(b, __VA_ARGS__)
#define EACH_INTS(M, ...) M(i32, __VA_ARGS__) M(i64, __VA_ARGS__)
#define EACH_FLOATS(M, ...) M(f32, __VA_ARGS__) M(f64, __VA_ARGS__)
#define EACH_NUM(M, ...) EACH_INTS(M, __VA_ARGS__) EACH_FLOATS(M, __VA_ARGS__)
#define EACH_SMALL(M, ...) M(u8, __VA_ARGS__) M(i8, __VA_ARGS__) M(i16, __VA_ARGS__)
#define EACH_STORED(M, ...) M(f16, __VA_ARGS__) M(bf16, __VA_ARGS__)
#define EACH_WHOLE(M, ...) EACH_INTS(M, __VA_ARGS__) EACH_SMALL(M, __VA_ARGS__)
#define EACH_INEXACT(M, ...) EACH_FLOATS(M, __VA_ARGS__) EACH_STORED(M, __VA_ARGS__)
#define EACH_REALS(M, ...) EACH_NUM(M, __VA_ARGS__) EACH_SMALL(M, __VA_ARGS__)
#define EACH_VALUES(M, ...) EACH_BOOLS(M, __VA_ARGS__) EACH_REALS(M, __VA_ARGS__)
#define EACH_ALL(M, ...) EACH_VALUES(M, __VA_ARGS__) EACH_STORED(M, __VA_ARGS__)
#define EACH_LOSSY(M, ...) EACH_BOOLS(M, __VA_ARGS__) EACH_INEXACT(M, __VA_ARGS__)
#define RESULT_SAME(type) t_##type
#define RESULT_BOOL(type) uint8_t

/* One function per operation and type. `expr` sees x, y, z of type T (and U for wrapping). */
#define HEAD(name)                                                                   \
  static int name(int64_t n, void *dst, const void *a, const void *b, const void *c, \
                  int64_t *bad) {                                                    \
    (void)a, (void)b, (void)c, (void)bad;
#define TYPES(type)                           \
  typedef t_##type T __attribute__((unused)); \
  typedef u_##type U __attribute__((unused));
#define LOOP(R, init, expr)                                                      \
  R *r = dst;                                                                    \
  _Pragma("GCC ivdep") _Pragma("GCC unroll 4") /* measured: 1.15 times faster */ \
      for (int64_t i = 0; i < n; i++) {                                          \
    init r[i] = (expr);                                                          \
  }                                                                              \
  return GP_OK;                                                                  \
  }
/* The condition first, over the whole tile (it vectorises); where it holds is found afterwards. */
#define REFUSE(status, init, fault)            \
  int any = 0;                                 \
  for (int64_t i = 0; i < n; i++) {            \
    init any |= (fault);                       \
  }                                            \
  if (any)                                     \
    for (int64_t i = 0; i < n; i++) {          \
      init if (fault) return *bad = i, status; \
    }
#define X1 const T x = ((const T *)a)[i];
#define X2 const T x = ((const T *)a)[i], y = ((const T *)b)[i];
#define X3 const T x = ((const T *)a)[i], y = ((const T *)b)[i], z = ((const T *)c)[i];
#define Y_ONE const T y = *(const T *)b;
#define X2_ONE const T x = ((const T *)a)[i];
#define X3_ONE const T x = ((const T *)a)[i], z = ((const T *)c)[i];
#define X3_BOOL                              \
  const uint8_t x = ((const uint8_t *)a)[i]; \
  const T y = ((const T *)b)[i], z = ((const T *)c)[i];
#define X3_SAME X3

#define UNARY(op, types, res, expr) EACH_##types(UNARY_LOOP, op, res, expr)
#define UNARY_LOOP(type, op, res, expr) \
  HEAD(tile_##op##_##type) TYPES(type) LOOP(RESULT_##res(type), X1, expr)
#define BINARY(op, types, res, expr) EACH_##types(BINARY_LOOP, op, res, expr)
#define BINARY_LOOP(type, op, res, expr) \
  HEAD(tile_##op##_##type) TYPES(type) LOOP(RESULT_##res(type), X2, expr)
#define TERNARY(op, types, first, expr) EACH_##types(TERNARY_LOOP, op, first, expr)
#define TERNARY_LOOP(type, op, first, expr) \
  HEAD(tile_##op##_##type) TYPES(type) LOOP(T, X3_##first, expr)
#define BINARY_ONE(op, types, res, expr) \
  BINARY(op, types, res, expr)           \
  EACH_##types(BINARY_ONE_LOOP, op, res, expr)
#define BINARY_ONE_LOOP(type, op, res, expr) \
  HEAD(tile_##op##_##type##_one) TYPES(type) Y_ONE LOOP(RESULT_##res(type), X2_ONE, expr)
#define TERNARY_ONE(op, types, first, expr) \
  TERNARY(op, types, first, expr)           \
  EACH_##types(TERNARY_ONE_LOOP, op, expr)
#define TERNARY_ONE_LOOP(type, op, expr) \
  HEAD(tile_##op##_##type##_one) TYPES(type) Y_ONE LOOP(T, X3_ONE, expr)
#define CHECKED_BINARY(op, types, status, fault, expr) \
  EACH_##types(CHECKED_BINARY_LOOP, op, status, fault, expr)
#define CHECKED_BINARY_LOOP(type, op, status, fault, expr) \
  HEAD(tile_##op##_##type) TYPES(type) REFUSE(status, X2, fault) LOOP(T, X2, expr)

/* By a function of vmath.h within a bound, by libm's beyond it: element by element, so that a
 * result depends on nothing else in its tile. */
#define BOUNDED(op, types, bound) EACH_##types(BOUNDED_LOOP, op, bound)
#define BOUNDED_LOOP(type, op, bound)                                \
  HEAD(tile_##op##_##type) TYPES(type) T *out = dst;                 \
  int beyond = 0;                                                    \
  for (int64_t i = 0; i < n; i++) {                                  \
    X1 beyond |= !((x < 0 ? -x : x) < bound);                        \
  }                                                                  \
  if (beyond) {                                                      \
    for (int64_t i = 0; i < n; i++) {                                \
      X1 out[i] = (x < 0 ? -x : x) < bound ? F(op)(x) : LIBM(op)(x); \
    }                                                                \
    return GP_OK;                                                    \
  }                                                                  \
  LOOP(T, X1, F(op)(x))

/* What an element of a type means, how a number becomes one, and which floats an integer holds. */
#define GET_b(x) ((x) != 0)
#define GET_u8(x) (x)
#define GET_i8(x) (x)
#define GET_i16(x) (x)
#define GET_i32(x) (x)
#define GET_i64(x) (x)
#define GET_f32(x) (x)
#define GET_f64(x) (x)
#define GET_f16(x) widen_f16(x)
#define GET_bf16(x) widen_bf16(x)
static inline uint16_t narrow_wide_f16(double x) { return narrow_f16(to_odd(x)); }
static inline uint16_t narrow_wide_bf16(double x) { return narrow_bf16(to_odd(x)); }
#define PUT_b(v) ((v) != 0)
#define PUT_u8(v) ((uint8_t)(v))
#define PUT_i8(v) ((int8_t)(v))
#define PUT_i16(v) ((int16_t)(v))
#define PUT_i32(v) ((int32_t)(v))
#define PUT_i64(v) ((int64_t)(v))
#define PUT_f32(v) ((float)(v))
#define PUT_f64(v) ((double)(v))
#define PUT_f16(v) _Generic((v), float: narrow_f16, default: narrow_wide_f16)(v)
#define PUT_bf16(v) _Generic((v), float: narrow_bf16, default: narrow_wide_bf16)(v)
#define HOLDS_u8(v) ((v) > -1 && (v) < 256)
#define HOLDS_i8(v) ((v) > -129 && (v) < 128)
#define HOLDS_i16(v) ((v) > -32769 && (v) < 32768)
#define HOLDS_i32(v) \
  (sizeof(v) == 4 ? (v) >= -0x1p31f && (v) < 0x1p31f : (v) > -2147483649.0 && (v) < 0x1p31)
#define HOLDS_i64(v) ((v) >= -0x1p63f && (v) < 0x1p63f)
#define PLAIN_LOOP(R, init, expr)   \
  R *r = dst;                       \
  for (int64_t i = 0; i < n; i++) { \
    init r[i] = (expr);             \
  }                                 \
  return GP_OK;                     \
  }
#define CAST(from, types) EACH_##types(CAST_LOOP, from)
#define CAST_LOOP(to, from) \
  HEAD(tile_cast_##from##_##to) TYPES(from) PLAIN_LOOP(t_##to, X1, PUT_##to(GET_##from(x)))
#define CHECKED_CAST(from, types) EACH_##types(CHECKED_CAST_LOOP, from)
#define CHECKED_CAST_LOOP(to, from)                   \
  HEAD(tile_cast_##from##_##to)                       \
  TYPES(from)                                         \
  REFUSE(GP_ERR_CAST, X1, !HOLDS_##to(GET_##from(x))) \
  PLAIN_LOOP(t_##to, X1, PUT_##to(GET_##from(x)))

#include "tile.def"

#undef UNARY
#undef BINARY
#undef BINARY_ONE
#undef TERNARY
#undef TERNARY_ONE
#undef CHECKED_BINARY
#undef BOUNDED
#undef CAST
#undef CHECKED_CAST

/* ---- their table ---- */

enum {
  d_b = GP_BOOL,
  d_i32 = GP_I32,
  d_i64 = GP_I64,
  d_f32 = GP_F32,
  d_f64 = GP_F64,
  d_u8 = GP_U8,
  d_i8 = GP_I8,
  d_i16 = GP_I16,
  d_f16 = GP_F16,
  d_bf16 = GP_BF16
};
#define D_SAME(type) d_##type
#define D_BOOL(type) d_b
#define UNARY(op, types, ...) EACH_##types(NUMBER, op)
#define BINARY UNARY
#define BINARY_ONE UNARY
#define TERNARY UNARY
#define TERNARY_ONE UNARY
#define CHECKED_BINARY UNARY
#define BOUNDED UNARY
#define NUMBER(type, op) TILE_##op##_##type,
#define CAST(from, types) EACH_##types(CAST_NUMBER, from)
#define CAST_NUMBER(to, from) TILE_cast_##from##_##to,
#define CHECKED_CAST CAST
enum tile_number {
#include "tile.def"
  N_TILE_OPS
};
#undef UNARY
#undef BINARY
#undef BINARY_ONE
#undef TERNARY
#undef TERNARY_ONE
#undef CHECKED_BINARY
#undef BOUNDED
#undef CAST
#undef CHECKED_CAST

#define ENTRY1(type, op, res, ...) \
  {#op "." #type, tile_##op##_##type, NULL, 1, {d_##type, -1, -1}, D_##res(type)},
#define ENTRY2(type, op, res, one) \
  {#op "." #type, tile_##op##_##type, one, 2, {d_##type, d_##type, -1}, D_##res(type)},
#define ENTRY3(type, op, first, one) \
  {#op "." #type, tile_##op##_##type, one, 3, {D_##first(type), d_##type, d_##type}, d_##type},
#define ENTRY2_ONE(type, op, res) ENTRY2(type, op, res, tile_##op##_##type##_one)
#define ENTRY3_ONE(type, op, first) ENTRY3(type, op, first, tile_##op##_##type##_one)
#define UNARY(op, types, res, expr) EACH_##types(ENTRY1, op, res)
#define BINARY(op, types, res, expr) EACH_##types(ENTRY2, op, res, NULL)
#define BINARY_ONE(op, types, res, expr) EACH_##types(ENTRY2_ONE, op, res)
#define TERNARY(op, types, first, expr) EACH_##types(ENTRY3, op, first, NULL)
#define TERNARY_ONE(op, types, first, expr) EACH_##types(ENTRY3_ONE, op, first)
#define CHECKED_BINARY(op, types, status, fault, expr) EACH_##types(ENTRY2, op, SAME, NULL)
#define BOUNDED(op, types, bound) EACH_##types(ENTRY1, op, SAME)
#define CAST(from, types) EACH_##types(CAST_ENTRY, from)
#define CAST_ENTRY(to, from) \
  {"cast." #from "." #to, tile_cast_##from##_##to, NULL, 1, {d_##from, -1, -1}, d_##to},
#define CHECKED_CAST CAST

static const gp_tile_entry tile_table[] = {
#include "tile.def"
};
