/* The kernels that are compiled once, not for each ISA level: what they do (LAPACK, sorting, moving
 * elements by index) gains nothing from wider vectors. isa.c puts them in every level's table.
 *
 *   GP_ONCE(name)   the kernel `name`: name_kernel and name_check
 */
#ifndef GRADPLAN_KERNELS_H
#define GRADPLAN_KERNELS_H

#include "plan.h"

/* clang-format off */
#define GP_KERNELS_ONCE(GP_ONCE) \
  /* control.c */ GP_ONCE(if_else) GP_ONCE(while_loop) GP_ONCE(scan_loop) GP_ONCE(read_row) GP_ONCE(write_row) \
  /* arrays.c */ GP_ONCE(slice_at) GP_ONCE(paste_at) GP_ONCE(reverse_sequence) GP_ONCE(range) \
  /* index.c, sets.c */ GP_ONCE(fill) GP_ONCE(gather) GP_ONCE(histogram) GP_ONCE(invert_permutation) \
    GP_ONCE(last_of_equals) GP_ONCE(list_diff) GP_ONCE(one_hot) GP_ONCE(partition) \
    GP_ONCE(ravel_index) GP_ONCE(segment_count) GP_ONCE(unique) GP_ONCE(where) \
  /* lapack.c */ GP_ONCE(lapack_cholesky) GP_ONCE(lapack_inverse) GP_ONCE(lapack_det) \
    GP_ONCE(lapack_slogdet) GP_ONCE(lapack_solve) GP_ONCE(lapack_triangular) GP_ONCE(lapack_lstsq) \
    GP_ONCE(lapack_eigh) GP_ONCE(lapack_svd) GP_ONCE(lapack_qr) GP_ONCE(lapack_expm) \
  /* sparse_move.c */ GP_ONCE(sparse_gather) GP_ONCE(sparse_set) GP_ONCE(sparse_order) \
    GP_ONCE(sparse_unique) GP_ONCE(sparse_where) \
  /* draws.c, sampler.c, crop.c */ GP_ONCE(random_gamma) GP_ONCE(random_poisson) GP_ONCE(multinomial) \
    GP_ONCE(random_stream) GP_ONCE(fold_stream) \
    GP_ONCE(random_shuffle) GP_ONCE(window) GP_ONCE(window_grad) GP_ONCE(candidate_sampler) \
    GP_ONCE(accidental_hits) GP_ONCE(check_fraction) \
  /* special.c */ GP_ONCE(special)
/* clang-format on */

#define GP_DECLARE(name)                               \
  int name##_kernel(gp_run *run, const gp_insn *insn); \
  const char *name##_check(const gp_plan *, const gp_insn *);
GP_KERNELS_ONCE(GP_DECLARE)

#endif
