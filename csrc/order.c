/* top_k: the first k elements of each row of x[rows, n] in descending or ascending order, and where
 * they stand; of equals the one that stands first comes first. Sorting is the case k = n.
 *
 * outs values [rows, k] and indices int32 [rows, k], either of which may be absent, scratch int64
 * [tasks, words]; ins x; attr descending. A key is an unsigned number in whose order the elements
 * are wanted; NaN counts as the largest number. If the scratch holds 4 words an element, a row is
 * sorted altogether, by the bytes of the keys from the last to the first (R. Sedgewick and K.
 * Wayne, Algorithms, 4th ed., 2011, section 5.1). Else, where k is a small part of n, the best k so
 * far stand in a heap, and only what is better than its worst is looked at one by one.
 */
#include "index.h"

enum {
  ORDER_BLOCK = 64,    /* elements whose least key is found before any is looked at */
  ORDER_FEW = 32,      /* and below: insertion */
  ORDER_MOST = 1 << 30 /* elements of a row: their number is an int32 */
};

typedef struct {
  const char *x;
  char *values;
  int32_t *indices;
  int64_t *scratch; /* [tasks, words] */
  int64_t rows, n, k, words, step;
  bool descending, whole;
} order_job;

#define T int32_t
#define U uint32_t
#define SUFFIX i32
#define KEY(bits) ((bits) ^ 0x80000000u)
#include "order.h"
#define T int64_t
#define U uint64_t
#define SUFFIX i64
#define KEY(bits) ((bits) ^ 0x8000000000000000u)
#include "order.h"

/* Negative floats in reverse; -0 is 0, and every NaN the largest. */
static inline uint32_t float_key_f32(uint32_t bits) {
  const uint32_t size = bits & 0x7FFFFFFFu;
  const uint32_t key = (bits >> 31) && size ? 0x80000000u - size : 0x80000000u + size;
  return size > 0x7F800000u ? 0xFFFFFFFFu : key;
}
static inline uint64_t float_key_f64(uint64_t bits) {
  const uint64_t size = bits & 0x7FFFFFFFFFFFFFFFu;
  const uint64_t key =
      (bits >> 63) && size ? 0x8000000000000000u - size : 0x8000000000000000u + size;
  return size > 0x7FF0000000000000u ? 0xFFFFFFFFFFFFFFFFu : key;
}
#define T float
#define U uint32_t
#define SUFFIX f32
#define KEY(bits) float_key_f32(bits)
#include "order.h"
#define T double
#define U uint64_t
#define SUFFIX f64
#define KEY(bits) float_key_f64(bits)
#include "order.h"

static int top_k_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *scratch = arg_buf(run->plan, insn, 2), *in = arg_buf(run->plan, insn, 3);
  order_job job = {.x = arg_ptr(run, insn, 3),
                   .scratch = arg_ptr(run, insn, 2),
                   .rows = in->dims[0],
                   .n = in->dims[1],
                   .words = scratch->dims[1],
                   .descending = run->plan->attrs[insn->attr]};
  for (int i = 0; i < 2; i++)
    if (arg_wanted(run->plan, insn, i)) {
      job.k = arg_buf(run->plan, insn, i)->dims[1];
      if (i == 0)
        job.values = arg_ptr(run, insn, 0);
      else
        job.indices = arg_ptr(run, insn, 1);
    }
  if (job.rows == 0 || job.k == 0) return GP_OK;
  job.whole = job.words >= 4 * job.n;
  job.step = piece_of(job.rows, 1, scratch->dims[0]);
  void (*const fn)(void *, int64_t) = in->dtype == GP_I32   ? order_task_i32
                                      : in->dtype == GP_I64 ? order_task_i64
                                      : in->dtype == GP_F32 ? order_task_f32
                                                            : order_task_f64;
  gp_parallel(run->threads, (job.rows + job.step - 1) / job.step, fn, &job);
  return GP_OK;
}

static const char *top_k_check(const gp_plan *plan, const gp_insn *insn) {
  if (insn->n_out != 3 || insn->n_in != 1) return "wrong number of arguments";
  if (insn->n_attr != 1) return "wrong number of attributes";
  if (!arg_wanted(plan, insn, 2)) return "an argument is missing";
  const gp_buf *scratch = arg_buf(plan, insn, 2), *in = arg_buf(plan, insn, 3);
  if (!is_index(in) && !is_float(in)) return "wrong dtype";
  if (in->rank != 2 || scratch->rank != 2) return "a matrix is expected";
  if (!is_contiguous(in) || !is_contiguous(scratch)) return "an argument is not contiguous";
  if (in->dims[1] > ORDER_MOST) return "too many elements";
  int64_t k = -1;
  for (int i = 0; i < 2; i++) {
    if (!arg_wanted(plan, insn, i)) continue;
    const gp_buf *out = arg_buf(plan, insn, i);
    if (out->dtype != (i ? GP_I32 : in->dtype)) return "wrong dtype";
    if (out->rank != 2) return "a matrix is expected";
    if (!is_contiguous(out)) return "an argument is not contiguous";
    if (out->dims[0] != in->dims[0] || out->dims[1] > in->dims[1] || (k >= 0 && k != out->dims[1]))
      return "shapes disagree";
    k = out->dims[1];
  }
  if (k < 0) return "an argument is missing";
  if (scratch->dtype != GP_I64) return "wrong dtype";
  return scratch->dims[0] >= 1 && scratch->dims[1] >= 4 * k ? NULL : "the scratch is too small";
}
