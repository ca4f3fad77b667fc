/* Helpers shared by the kernels: looking up arguments and checking them. */
#ifndef GRADPLAN_KERNEL_H
#define GRADPLAN_KERNEL_H

#include <stdbool.h>
#include <string.h>

#include "core.h"

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)

/* The elements of each type, and what integers are computed in: there overflow wraps. float16 and
 * bfloat16 are moved and converted as their bits. */
typedef uint8_t t_b, u_b, t_u8;
typedef int8_t t_i8;
typedef int16_t t_i16;
typedef uint16_t t_f16, t_bf16, u_f16, u_bf16;
typedef uint32_t u_u8, u_i8, u_i16;
typedef int32_t t_i32;
typedef int64_t t_i64;
typedef uint32_t u_i32;
typedef uint64_t u_i64;
typedef float t_f32, u_f32;
typedef double t_f64, u_f64;

static inline const gp_buf *arg_buf(const gp_plan *plan, const gp_insn *insn, int i) {
  return &plan->bufs[plan->args[insn->arg + i]];
}

static inline void *arg_ptr(const gp_run *run, const gp_insn *insn, int i) {
  return run->ptr[run->plan->args[insn->arg + i]];
}

static inline bool arg_wanted(const gp_plan *plan, const gp_insn *insn, int i) {
  return plan->args[insn->arg + i] >= 0;
}

static inline int64_t count(const gp_buf *buf) {
  int64_t n = 1;
  for (int i = 0; i < buf->rank; i++) n *= buf->dims[i];
  return n;
}

/* Work is cut into at most so many tasks; elementwise work from GP_PARALLEL elements on, so that a
 * task takes some microseconds at least. */
#ifndef GP_PARALLEL
#define GP_PARALLEL 16384
#endif
enum { MAX_TASKS = 16 };

static inline int64_t min_i64(int64_t a, int64_t b) { return a < b ? a : b; }

/* The length of `tasks` equal pieces of `size`, rounded up to a multiple of `least`. */
static inline int64_t piece_of(int64_t size, int64_t least, int64_t tasks) {
  const int64_t even = (size + tasks - 1) / tasks;
  return (even + least - 1) / least * least;
}

static inline int fail(gp_run *run, int status, int64_t index, int64_t value, int64_t bound) {
  run->error =
      (gp_error){.status = status, .insn = -1, .index = index, .value = value, .bound = bound};
  return status;
}

/* ---- for checkers: each returns NULL or what is wrong ---- */

static inline bool is_float(const gp_buf *b) { return b->dtype == GP_F32 || b->dtype == GP_F64; }
static inline bool is_number(const gp_buf *b) { /* of a type that all kernels compute with */
  return b->dtype >= GP_I32 && b->dtype <= GP_F64;
}
static inline bool is_index(const gp_buf *b) { return b->dtype == GP_I32 || b->dtype == GP_I64; }

static inline bool same_dims(const gp_buf *a, const gp_buf *b) {
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dims[i] != b->dims[i]) return false;
  return true;
}

static inline bool is_contiguous(const gp_buf *b) {
  int64_t step = 1;
  if (count(b) == 0) return true;
  for (int i = b->rank - 1; i >= 0; step *= b->dims[i--])
    if (b->dims[i] != 1 && b->strides[i] != step) return false;
  return true;
}

static inline const char *check_arity(const gp_plan *plan, const gp_insn *insn, int n_out, int n_in,
                                      int n_attr) {
  if (insn->n_out != n_out || insn->n_in != n_in) return "wrong number of arguments";
  if (insn->n_attr != n_attr) return "wrong number of attributes";
  for (int i = 0; i < n_out + n_in; i++)
    if (!arg_wanted(plan, insn, i)) return "an argument is missing";
  return NULL;
}

/* Arguments [from, to) are contiguous floats of the type and dims of argument `from`. */
static inline const char *check_float_group(const gp_plan *plan, const gp_insn *insn, int from,
                                            int to) {
  const gp_buf *first = arg_buf(plan, insn, from);
  for (int i = from; i < to; i++) {
    const gp_buf *b = arg_buf(plan, insn, i);
    if (!is_float(b) || b->dtype != first->dtype) return "wrong dtype";
    if (!same_dims(b, first)) return "shapes disagree";
    if (!is_contiguous(b)) return "an argument is not contiguous";
  }
  return NULL;
}

#endif
