/* Matrix products: by our own kernels (small.h) as far as they are the faster, else by BLAS;
 * integers by a plain wrapping loop. */
#include "kernel.h"
#include "simd.h"

/* c[m, n] = a[m, k] b[k, n]: element (i, l) of a lies at i ars + l acs, b's likewise; the rows of c
 * are contiguous, ldc apart. Strides in elements. Then, each if it is there,
 *
 *   c += what c held before,   c += bias[n],   c = c < 0 ? 0 : c,   c = gate[m, n] > 0 ? c : 0
 */
typedef struct {
  int64_t m, n, k;
  const void *a;
  int64_t ars, acs;
  const void *b;
  int64_t brs, bcs;
  void *c;
  int64_t ldc;
  const void *bias, *gate;
  int64_t ldg;
  bool relu, more; /* more: c holds a sum so far; in blocks and by BLAS */
} product;

/* How a product is done. The first four end in registers; the first three write c once, so that it
 * may lie where the gate does. */
enum way {
  ROWS,          /* a row of a after the other, with the rows of b */
  BLOCKS,        /* blocks of c */
  PACKED_BLOCKS, /* the same, after the columns of b have been copied into rows */
  DEEP,          /* packed blocks for slices of k, one added to the other */
  DOTS,          /* a row of a with each column of b */
  TURNED,        /* c' = b' a' in one of these ways */
  BLAS
};

/* ---- BLAS ----
 *
 * It is column-major: read so, a row-major matrix is its transpose, and out' = b' a' comes out in
 * the right order. An operand transposed by its strides is passed as it lies, with the flag set.
 */

typedef struct {
  char trans; /* 'N': the rows are contiguous; 'T': the columns are */
  int ld;
} gemm_operand;

/* How BLAS can read x[rows, cols], or false. The stride of a dim of size 1 does not matter. */
static bool gemm_layout(int64_t rows, int64_t cols, int64_t rs, int64_t cs, gemm_operand *operand) {
  int64_t ld;
  if (rows == 0 || cols == 0) {
    operand->trans = 'N';
    ld = cols;
  } else if ((cols == 1 || cs == 1) && (rows == 1 || rs >= cols)) {
    operand->trans = 'N';
    ld = rows == 1 ? cols : rs;
  } else if ((rows == 1 || rs == 1) && (cols == 1 || cs >= rows)) {
    operand->trans = 'T';
    ld = cols == 1 ? rows : cs;
  } else {
    return false;
  }
  if (ld < 1) ld = 1;
  operand->ld = (int)ld;
  return ld <= INT32_MAX && rows <= INT32_MAX && cols <= INT32_MAX;
}

/* A product with a vector is a gemv from this many elements of the matrix on: it reads the matrix
 * once, where gemm would copy it first (measured with OpenBLAS 0.3.30: even at 2^15, 2 times faster
 * at 2^20). Below, gemm has the smaller overhead. */
enum { GEMV_FROM = 1 << 16 };

#define BLAS_PRODUCT(type, gemm, gemv)                                                             \
  static void blas_##type(const product *p) {                                                      \
    int m = (int)p->m, k = (int)p->k, n = (int)p->n, ldc = (int)p->ldc, one = 1;                   \
    const bool large = p->k * (m == 1 ? p->n : p->m) >= GEMV_FROM;                                 \
    gemm_operand oa, ob;                                                                           \
    t_##type alpha = 1, beta = p->more, *a = (void *)p->a, *b = (void *)p->b, *c = p->c;           \
    gemm_layout(m, k, p->ars, p->acs, &oa);                                                        \
    gemm_layout(k, n, p->brs, p->bcs, &ob);                                                        \
    if (m == 1 && large) { /* out' = b' a' */                                                      \
      int step = oa.trans == 'N' ? 1 : oa.ld;                                                      \
      int *rows = ob.trans == 'N' ? &n : &k, *cols = ob.trans == 'N' ? &k : &n;                    \
      gp_blas_table.gemv(&ob.trans, rows, cols, &alpha, b, &ob.ld, a, &step, &beta, c, &one);      \
    } else if (n == 1 && large) { /* out = a b */                                                  \
      int step = ob.trans == 'N' ? ob.ld : 1;                                                      \
      int *rows = oa.trans == 'N' ? &k : &m, *cols = oa.trans == 'N' ? &m : &k;                    \
      char trans = oa.trans == 'N' ? 'T' : 'N';                                                    \
      gp_blas_table.gemv(&trans, rows, cols, &alpha, a, &oa.ld, b, &step, &beta, c, &ldc);         \
    } else {                                                                                       \
      gp_blas_table.gemm(&ob.trans, &oa.trans, &n, &m, &k, &alpha, b, &ob.ld, a, &oa.ld, &beta, c, \
                         &ldc);                                                                    \
    }                                                                                              \
  }
BLAS_PRODUCT(f32, sgemm, sgemv)
BLAS_PRODUCT(f64, dgemm, dgemv)

/* ---- our own ---- */

enum {
  FEW = 4,                      /* rows: fewer do not fill the FMA pipelines as a block */
  SMALL_DEPTH = GP_SMALL_DEPTH, /* the largest k that is done in one */
  SMALL_WHOLE = 1 << 26,        /* the largest m n k that does not pay for copies of a and b */
  TURNED_SIZE = 4096,           /* the largest m n where the result is copied, to the stack */
  SLICE_BYTES = 1024,           /* of a row of a: what a deep product does of k at once */
  DEEP_ROWS = 192,              /* of a and ... */
  DEEP_COLUMNS = 512            /* of b that it copies at once, to the thread's scratch */
};
_Static_assert((DEEP_ROWS + DEEP_COLUMNS) * SLICE_BYTES <= GP_SCRATCH_BYTES, "scratch too small");

/* The accumulators of a block and what feeds them just fit the registers: 32 or 16. (Measured: 12 x
 * 2 vectors reach 95% of the peak, 8 x 3 90%.) */
enum { BLOCK_VECS = 2 };
/* clang-format off */
#if defined(__AVX512F__)
enum { BLOCK_ROWS = 12 };
#define EACH_ROWS(M, vecs, part)                                                          \
  M(1, vecs, part) M(2, vecs, part) M(3, vecs, part) M(4, vecs, part) M(5, vecs, part)    \
  M(6, vecs, part) M(7, vecs, part) M(8, vecs, part) M(9, vecs, part) M(10, vecs, part)   \
  M(11, vecs, part) M(12, vecs, part)
#else
enum { BLOCK_ROWS = 6 };
#define EACH_ROWS(M, vecs, part)                                                          \
  M(1, vecs, part) M(2, vecs, part) M(3, vecs, part) M(4, vecs, part) M(5, vecs, part)    \
  M(6, vecs, part)
#endif
/* clang-format on */

#define T float
#define SUFFIX f32
#include "small.h"
#define T double
#define SUFFIX f64
#include "small.h"

/* ---- the choice ---- */

/* The largest m n k (in float32; half of it in float64) that our own ways do at least as fast as
 * OpenBLAS's kernels for the level's CPUs, if the rows of a are contiguous and if its columns are;
 * and the largest matrix that a few rows are multiplied with. Measured by benchmarks/crossover.py.
 * At v4 it has no end: ours take 0.75 to 0.95 of the time at 2^24, 0.85 to 0.95 at 2^26 and 0.9 to
 * 1.05 from 2^29 on (1.08 in float64), where both are cut into tasks. */
#if defined(__AVX512F__)
static const int64_t SMALL_BY_ROWS = GP_MAX_BYTES, SMALL_BY_COLUMNS = GP_MAX_BYTES;
enum { SMALL_MATRIX = 1 << 19 };
#elif defined(__AVX2__)
static const int64_t SMALL_BY_ROWS = 1 << 26, SMALL_BY_COLUMNS = 1 << 22;
enum { SMALL_MATRIX = 1 << 18 };
#else
static const int64_t SMALL_BY_ROWS = 1 << 25, SMALL_BY_COLUMNS = 1 << 25;
enum { SMALL_MATRIX = 1 << 18 };
#endif

static bool is_small(const product *p, int32_t dtype) {
  if (gp_product_way) return gp_product_way > 0;
  const int64_t matrix = p->k * p->n * (dtype == GP_F32 ? 1 : 2);
  if (p->m < FEW) return matrix <= SMALL_MATRIX;
  return p->m * matrix <= (p->acs == 1 ? SMALL_BY_ROWS : SMALL_BY_COLUMNS);
}

static enum way product_way(const product *p, int32_t dtype) {
  if (!is_small(p, dtype)) return BLAS;
  return dtype == GP_F32 ? small_way_f32(p) : small_way_f64(p);
}

/* Floats only. The way belongs to the whole product, of which this may be some rows. */
static void multiply(const product *p, int32_t dtype, enum way way) {
  if (p->m == 0 || p->n == 0) return;
  if (p->k == 0) {
    const int64_t size = gp_itemsize(dtype);
    for (int64_t i = 0; i < p->m && !p->more; i++)
      memset((char *)p->c + i * p->ldc * size, 0, (size_t)(p->n * size));
    if (dtype == GP_F32)
      finish_f32(p);
    else
      finish_f64(p);
  } else if (dtype == GP_F32) {
    multiply_f32(p, way);
  } else {
    multiply_f64(p, way);
  }
}
