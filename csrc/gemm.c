/* matmul: out[m, n] = a[m, k] b[k, n]. Floats by BLAS; integers by a plain wrapping loop.
 *
 * BLAS is column-major: read so, a row-major matrix is its transpose, and out' = b' a' comes out in
 * the right order. An operand transposed by its strides is passed as it lies, with the flag set.
 */
#include "kernel.h"

typedef struct {
  char trans; /* 'N': the rows are contiguous; 'T': the columns are */
  int ld;
} gemm_operand;

/* How BLAS can read x[rows, cols], or false. The stride of a dim of size 1 does not matter. */
static bool gemm_layout(const gp_buf *x, gemm_operand *operand) {
  const int64_t rows = x->dims[0], cols = x->dims[1];
  const int64_t rs = x->strides[0], cs = x->strides[1];
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

#define MATMUL_FLOAT(type, gemm, gemv)                                                            \
  static void matmul_##type(const gp_buf *out, const gp_buf *a, const gp_buf *b, t_##type *c,     \
                            t_##type *pa, t_##type *pb) {                                         \
    int m = (int)a->dims[0], k = (int)a->dims[1], n = (int)b->dims[1], one = 1;                   \
    const bool large = (int64_t)k * (m == 1 ? n : m) >= GEMV_FROM;                                \
    gemm_operand oa, ob, oc;                                                                      \
    t_##type alpha = 1, beta = 0;                                                                 \
    gemm_layout(a, &oa);                                                                          \
    gemm_layout(b, &ob);                                                                          \
    gemm_layout(out, &oc);                                                                        \
    if (m == 1 && large) { /* out' = b' a' */                                                     \
      int step = oa.trans == 'N' ? 1 : oa.ld;                                                     \
      int *rows = ob.trans == 'N' ? &n : &k, *cols = ob.trans == 'N' ? &k : &n;                   \
      gp_blas_table.gemv(&ob.trans, rows, cols, &alpha, pb, &ob.ld, pa, &step, &beta, c, &one);   \
    } else if (n == 1 && large) { /* out = a b */                                                 \
      int step = ob.trans == 'N' ? ob.ld : 1;                                                     \
      int *rows = oa.trans == 'N' ? &k : &m, *cols = oa.trans == 'N' ? &m : &k;                   \
      char trans = oa.trans == 'N' ? 'T' : 'N';                                                   \
      gp_blas_table.gemv(&trans, rows, cols, &alpha, pa, &oa.ld, pb, &step, &beta, c, &oc.ld);    \
    } else {                                                                                      \
      gp_blas_table.gemm(&ob.trans, &oa.trans, &n, &m, &k, &alpha, pb, &ob.ld, pa, &oa.ld, &beta, \
                         c, &oc.ld);                                                              \
    }                                                                                             \
  }
MATMUL_FLOAT(f32, sgemm, sgemv)
MATMUL_FLOAT(f64, dgemm, dgemv)

#define MATMUL_INT(type)                                                                    \
  static void matmul_##type(const gp_buf *out, const gp_buf *a, const gp_buf *b,            \
                            u_##type *restrict c, const u_##type *pa, const u_##type *pb) { \
    const int64_t m = a->dims[0], k = a->dims[1], n = b->dims[1];                           \
    for (int64_t i = 0; i < m; i++, c += out->strides[0])                                   \
      for (int64_t l = 0; l < k; l++) {                                                     \
        const u_##type x = pa[i * a->strides[0] + l * a->strides[1]];                       \
        const u_##type *row = pb + l * b->strides[0];                                       \
        for (int64_t j = 0; j < n; j++) c[j] += x * row[j * b->strides[1]];                 \
      }                                                                                     \
  }
MATMUL_INT(i32)
MATMUL_INT(i64)

static int matmul_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0);
  const gp_buf *a = arg_buf(run->plan, insn, 1), *b = arg_buf(run->plan, insn, 2);
  const int64_t m = a->dims[0], k = a->dims[1], n = b->dims[1], size = gp_itemsize(out->dtype);
  char *c = arg_ptr(run, insn, 0);
  void *pa = arg_ptr(run, insn, 1), *pb = arg_ptr(run, insn, 2);
  if (m == 0 || n == 0) return GP_OK;
  if (k == 0 || is_index(out))
    for (int64_t i = 0; i < m; i++) memset(c + i * out->strides[0] * size, 0, (size_t)(n * size));
  if (k == 0) return GP_OK;
  switch (out->dtype) {
    case GP_I32:
      matmul_i32(out, a, b, (uint32_t *)c, pa, pb);
      break;
    case GP_I64:
      matmul_i64(out, a, b, (uint64_t *)c, pa, pb);
      break;
    case GP_F32:
      matmul_f32(out, a, b, (float *)c, pa, pb);
      break;
    case GP_F64:
      matmul_f64(out, a, b, (double *)c, pa, pb);
      break;
  }
  return GP_OK;
}

static const char *matmul_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 0);
  gemm_operand layout;
  if (wrong) return wrong;
  const gp_buf *out = arg_buf(plan, insn, 0);
  const gp_buf *a = arg_buf(plan, insn, 1), *b = arg_buf(plan, insn, 2);
  if (out->dtype == GP_BOOL || a->dtype != out->dtype || b->dtype != out->dtype)
    return "wrong dtype";
  if (out->rank != 2 || a->rank != 2 || b->rank != 2) return "a matrix is expected";
  if (out->dims[0] != a->dims[0] || out->dims[1] != b->dims[1] || a->dims[1] != b->dims[0])
    return "shapes disagree";
  if (out->dims[1] > 1 && out->strides[1] != 1) return "the rows of the output are not contiguous";
  if (!is_float(out)) return NULL;
  if (!gemm_layout(out, &layout) || layout.trans != 'N') return "BLAS cannot write this output";
  if (!gemm_layout(a, &layout) || !gemm_layout(b, &layout)) return "BLAS cannot read an operand";
  return gp_blas_table.sgemm ? NULL : "BLAS is not loaded";
}
