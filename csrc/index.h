/* What the kernels that take indices share. */
#ifndef GRADPLAN_INDEX_H
#define GRADPLAN_INDEX_H

#include "kernel.h"

/* Element i of int32 or int64 indices. They may lie in an array of the caller, which somebody may
 * write meanwhile: so each is read once, and what was read is checked where it is used. */
static inline int64_t index_at(const void *indices, bool wide, int64_t i) {
  return wide ? ((const volatile int64_t *)indices)[i] : ((const volatile int32_t *)indices)[i];
}

/* What becomes of an index that is not in [0, bound). */
enum outside {
  OUTSIDE_FAILS,
  NEGATIVE_SKIPPED, /* one too large fails */
  LARGE_SKIPPED     /* a negative one fails */
};

static inline bool index_fails(int64_t k, int64_t bound, enum outside outside) {
  return k < 0 ? outside != NEGATIVE_SKIPPED : k >= bound && outside != LARGE_SKIPPED;
}

/* The first of n indices that fails, or n. */
static inline int64_t first_failing(const void *indices, bool wide, int64_t n, int64_t bound,
                                    enum outside outside) {
  for (int64_t i = 0; i < n; i++)
    if (index_fails(index_at(indices, wide, i), bound, outside)) return i;
  return n;
}

/* Whether the rows of a buffer [groups, rows, inner] have no gaps. */
static inline bool has_whole_rows(const gp_buf *b) {
  return b->rank == 3 && (b->dims[2] <= 1 || b->strides[2] == 1);
}

#endif
