/* A part of an array whose place only the run knows, and the array of zeros around such a part. */
#include "kernel.h"

/* Copies rows along the last dim between whole and part, both contiguous. */
static void move_window(const gp_buf *whole, const gp_buf *part, const int64_t *begin, char *w,
                        char *p, bool to_part) {
  const int rank = part->rank;
  const int64_t size = gp_itemsize(part->dtype), n = count(part);
  if (n == 0) return;
  const int64_t row = rank ? part->dims[rank - 1] : 1;
  int64_t at[GP_MAX_RANK] = {0};
  for (int64_t done = 0; done < n; done += row) {
    int64_t place = 0;
    for (int d = 0; d < rank; d++) place = place * whole->dims[d] + begin[d] + at[d];
    char *there = w + place * size, *here = p + done * size;
    memcpy(to_part ? here : there, to_part ? there : here, (size_t)(row * size));
    for (int d = rank - 2; d >= 0 && ++at[d] == part->dims[d]; d--) at[d] = 0;
  }
}

/* outs part; ins whole, begin[rank]. With `grad`: outs whole; ins part, begin. */
static int window_any(gp_run *run, const gp_insn *insn, bool grad) {
  const gp_buf *whole = arg_buf(run->plan, insn, grad ? 0 : 1);
  const gp_buf *part = arg_buf(run->plan, insn, grad ? 1 : 0);
  const bool wide = arg_buf(run->plan, insn, 2)->dtype == GP_I64;
  const void *given = arg_ptr(run, insn, 2);
  int64_t begin[GP_MAX_RANK];
  for (int d = 0; d < part->rank; d++) {
    const int64_t room = whole->dims[d] - part->dims[d] + 1;
    begin[d] = wide ? ((const int64_t *)given)[d] : ((const int32_t *)given)[d];
    if (begin[d] < 0 || begin[d] >= room) return fail(run, GP_ERR_RANGE, d, begin[d], room);
  }
  char *w = arg_ptr(run, insn, grad ? 0 : 1), *p = arg_ptr(run, insn, grad ? 1 : 0);
  if (grad) memset(w, 0, (size_t)(count(whole) * gp_itemsize(whole->dtype)));
  move_window(whole, part, begin, w, p, !grad);
  return GP_OK;
}

int window_kernel(gp_run *run, const gp_insn *insn) { return window_any(run, insn, false); }
int window_grad_kernel(gp_run *run, const gp_insn *insn) { return window_any(run, insn, true); }

static const char *check_window(const gp_plan *plan, const gp_insn *insn, bool grad) {
  const char *wrong = check_arity(plan, insn, 1, 2, 0);
  if (wrong) return wrong;
  const gp_buf *whole = arg_buf(plan, insn, grad ? 0 : 1);
  const gp_buf *part = arg_buf(plan, insn, grad ? 1 : 0), *begin = arg_buf(plan, insn, 2);
  if (whole->dtype != part->dtype || !is_index(begin)) return "wrong dtype";
  if (whole->rank != part->rank) return "ranks disagree";
  if (begin->rank != 1 || begin->dims[0] != part->rank) return "shapes disagree";
  for (int d = 0; d < part->rank; d++)
    if (part->dims[d] > whole->dims[d]) return "the part is larger than the whole";
  for (int i = 0; i < 3; i++)
    if (!is_contiguous(arg_buf(plan, insn, i))) return "an argument is not contiguous";
  return NULL;
}

const char *window_check(const gp_plan *plan, const gp_insn *insn) {
  return check_window(plan, insn, false);
}
const char *window_grad_check(const gp_plan *plan, const gp_insn *insn) {
  return check_window(plan, insn, true);
}
