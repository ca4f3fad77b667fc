/* All kernels for one ISA level: setup.py compiles this file once a level, with -DGP_ISA=level and
 * the level's flags. Only the table is visible outside. */
#include "core.h"
#include "kernel.h"
#include "kernels.h"
#include "vmath.h"

#include "reduce.c"
#include "tile_ops.c"
#include "tile.c"
#include "rows.c"
#include "gemm.c"
#include "matmul.c"
#include "batch.c"
#include "conv.c"
#include "window.c"
#include "optim.c"
#include "rng.c"
#include "scatter.c"
#include "order.c"
#include "sparse.c"
#include "scan.c"

static int fill_zero_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0);
  memset(arg_ptr(run, insn, 0), 0, (size_t)(count(out) * gp_itemsize(out->dtype)));
  return GP_OK;
}

static const char *fill_zero_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 0, 0);
  if (wrong) return wrong;
  return is_contiguous(arg_buf(plan, insn, 0)) ? NULL : "an argument is not contiguous";
}

static const char *host_check(const gp_plan *plan, const gp_insn *insn) {
  return check_arity(plan, insn, insn->n_out, insn->n_in, (int)insn->n_attr);
}

#define KERNEL(name) {#name, name##_kernel, name##_check}
#define REDUCE(name) {#name, name##_kernel, reduce_check}
#define ONCE(name) KERNEL(name),
static const gp_kernel_entry kernel_table[] = {
    {"tile", tile_kernel, tile_check},
    KERNEL(tile_small),
    {"tile_sum", tile_sum_kernel, tile_sum_check},
    {"host", gp_call_host, host_check},
    KERNEL(fill_zero),
    KERNEL(matmul),
    KERNEL(matmul_map),
    KERNEL(matmul_sum),
    KERNEL(matmul_batch),
    KERNEL(conv),
    KERNEL(conv_filter),
    KERNEL(depthwise),
    KERNEL(depthwise_filter),
    KERNEL(windows_add),
    KERNEL(max_pool),
    KERNEL(max_pool_grad),
    KERNEL(max_pool_grad_grad),
    REDUCE(reduce_sum),
    REDUCE(reduce_mean),
    REDUCE(reduce_prod),
    REDUCE(reduce_max),
    REDUCE(reduce_min),
    KERNEL(argmax),
    KERNEL(scan),
    KERNEL(softmax),
    {"log_softmax", log_softmax_kernel, softmax_check},
    KERNEL(softmax_xent),
    KERNEL(sparse_softmax_xent),
    KERNEL(apply_gradient_descent),
    KERNEL(apply_momentum),
    KERNEL(apply_adam),
    KERNEL(matmul_update),
    KERNEL(scatter),
    KERNEL(top_k),
    {"random_uniform", random_uniform_kernel, random_check},
    {"random_normal", random_normal_kernel, random_check},
    KERNEL(random_uniform_int),
    {"truncated_normal", truncated_normal_kernel, random_check},
    KERNEL(sparse_matmul),
    KERNEL(sparse_dots),
    KERNEL(sparse_add),
    KERNEL(sparse_softmax),
    GP_KERNELS_ONCE(ONCE)};

#define STRING_(x) #x
#define STRING(x) STRING_(x)
const gp_table PASTE(gp_table, GP_ISA) = {STRING(GP_ISA), kernel_table,
                                          sizeof kernel_table / sizeof *kernel_table, tile_table,
                                          N_TILE_OPS};
