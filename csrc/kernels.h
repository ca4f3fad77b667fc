/* The kernels that are compiled once, not for each ISA level: what they do (LAPACK, sorting, moving
 * elements by index) gains nothing from wider vectors. isa.c puts them in every level's table.
 *
 *   GP_ONCE(name)   the kernel `name`: name_kernel and name_check
 */
#ifndef GRADPLAN_KERNELS_H
#define GRADPLAN_KERNELS_H

#include "plan.h"

#define GP_KERNELS_ONCE(GP_ONCE) GP_ONCE(special)

#define GP_DECLARE(name)                               \
  int name##_kernel(gp_run *run, const gp_insn *insn); \
  const char *name##_check(const gp_plan *, const gp_insn *);
GP_KERNELS_ONCE(GP_DECLARE)

#endif
