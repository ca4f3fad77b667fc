/* unique and list_diff: vectors as sets, by a hash table with open addressing (D. E. Knuth, The Art
 * of Computer Programming, vol. 3, section 6.4). A NaN equals nothing, not even itself. */
#include "index.h"

/* table[slots] int32, a power of two of them, at least 1.5 times the entries: 1 + the place of an
 * element among the distinct ones, 0 where there is none. */
typedef struct {
  int32_t *slot;
  uint64_t mask;
  int shift;
} set;

static set empty_set(void *slots, int64_t n) {
  int bits = 0;
  while (((int64_t)1 << bits) < n) bits++;
  memset(slots, 0, (size_t)n * sizeof(int32_t));
  return (set){slots, (uint64_t)n - 1, 63 - bits};
}

/* The value of element i as a number that equal ones share; false for NaN. */
static bool number_of(const void *x, int32_t dtype, int64_t i, uint64_t *number) {
  if (dtype == GP_F32) {
    const float v = ((const volatile float *)x)[i] + 0.0f; /* -0 is 0 */
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    *number = bits;
    return v == v;
  }
  if (dtype == GP_F64) {
    const double v = ((const volatile double *)x)[i] + 0.0;
    memcpy(number, &v, sizeof v);
    return v == v;
  }
  const int64_t size = gp_itemsize(dtype);
  *number = size == 1   ? ((const volatile uint8_t *)x)[i]
            : size == 2 ? ((const volatile uint16_t *)x)[i]
            : size == 4 ? ((const volatile uint32_t *)x)[i]
                        : ((const volatile uint64_t *)x)[i];
  return true;
}

/* The slot of a number among the distinct elements y, or the free one where it belongs. */
static int32_t *find(const set *s, const void *y, int32_t dtype, uint64_t number) {
  uint64_t at = (number * 0x9E3779B97F4A7C15u) >> 1 >> s->shift, other;
  for (;; at++) {
    int32_t *slot = &s->slot[at & s->mask];
    if (*slot == 0) return slot;
    number_of(y, dtype, *slot - 1, &other);
    if (other == number) return slot;
  }
}

static void put_index(void *out, bool wide, int64_t i, int64_t value) {
  if (wide)
    ((int64_t *)out)[i] = value;
  else
    ((int32_t *)out)[i] = (int32_t)value;
}

static void put_element(char *y, int64_t size, int64_t to, uint64_t number, const char *x,
                        int64_t from, int32_t dtype) {
  if (dtype == GP_F32 || dtype == GP_F64)
    memcpy(y + to * size, x + from * size, (size_t)size); /* -0 and NaN as they are */
  else
    memcpy(y + to * size, &number, (size_t)size); /* little endian */
}

/* ---- unique: outs y[n] the distinct elements, in the order in which they come, index[n] where
 * each of x is among them, counts[n] of each of y (may be absent), m int64[] how many they are,
 * table int32[slots]; in x[n]. Of counts only m are written; the rest of y has all bits set, which
 * is -1 for an integer. ---- */

int unique_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 5), *places = arg_buf(run->plan, insn, 1);
  const int64_t n = in->dims[0], size = gp_itemsize(in->dtype);
  const char *x = arg_ptr(run, insn, 5);
  char *y = arg_ptr(run, insn, 0);
  void *index = arg_ptr(run, insn, 1);
  void *counts = arg_wanted(run->plan, insn, 2) ? arg_ptr(run, insn, 2) : NULL;
  const bool wide = places->dtype == GP_I64;
  const set s = empty_set(arg_ptr(run, insn, 4), arg_buf(run->plan, insn, 4)->dims[0]);
  int64_t m = 0;
  for (int64_t i = 0; i < n; i++) {
    uint64_t number;
    int32_t *slot = number_of(x, in->dtype, i, &number) ? find(&s, y, in->dtype, number) : NULL;
    int64_t place = slot && *slot ? *slot - 1 : m;
    if (place == m) {
      put_element(y, size, m, number, x, i, in->dtype);
      if (counts) put_index(counts, wide, m, 0);
      m++;
      if (slot) *slot = (int32_t)m;
    }
    put_index(index, wide, i, place);
    if (!counts) continue;
    if (wide)
      ((int64_t *)counts)[place]++;
    else
      ((int32_t *)counts)[place]++;
  }
  memset(y + m * size, 0xFF, (size_t)((n - m) * size));
  *(int64_t *)arg_ptr(run, insn, 3) = m;
  return GP_OK;
}

static const char *set_check(const gp_buf *table, int64_t n) {
  if (n >= 1 << 30) return "too many elements";
  if (table->dtype != GP_I32) return "wrong dtype";
  const int64_t slots = table->dims[0];
  return slots > n + n / 2 && !(slots & (slots - 1)) ? NULL : "the table is too small";
}

/* Every argument but number `scalar` is a vector without gaps; that one an int64. */
static const char *sets_check(const gp_plan *plan, const gp_insn *insn, int scalar) {
  for (int i = 0; i < insn->n_out + insn->n_in; i++) {
    if (!arg_wanted(plan, insn, i)) continue;
    const gp_buf *b = arg_buf(plan, insn, i);
    if (b->rank != (i != scalar)) return "wrong rank";
    if (i == scalar && b->dtype != GP_I64) return "wrong dtype";
    if (!is_contiguous(b)) return "an argument is not contiguous";
  }
  return NULL;
}

const char *unique_check(const gp_plan *plan, const gp_insn *insn) {
  if (insn->n_out != 5 || insn->n_in != 1) return "wrong number of arguments";
  if (insn->n_attr) return "wrong number of attributes";
  for (int i = 0; i < 5; i++)
    if (i != 2 && !arg_wanted(plan, insn, i)) return "an argument is missing";
  const char *wrong = sets_check(plan, insn, 3);
  if (wrong) return wrong;
  const gp_buf *in = arg_buf(plan, insn, 5), *index = arg_buf(plan, insn, 1);
  if (arg_buf(plan, insn, 0)->dtype != in->dtype || !is_index(index)) return "wrong dtype";
  for (int i = 0; i < 3; i++) {
    if (!arg_wanted(plan, insn, i)) continue;
    if (!same_dims(arg_buf(plan, insn, i), in)) return "shapes disagree";
    if (i == 2 && arg_buf(plan, insn, i)->dtype != index->dtype) return "wrong dtype";
  }
  return set_check(arg_buf(plan, insn, 4), in->dims[0]);
}

/* ---- list_diff: outs rest[n] the elements of x that are not among y, in their order, index[n]
 * where they stand in x, m int64[] how many, table int32[slots]; ins x[n], y[k] ---- */

int list_diff_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *in = arg_buf(run->plan, insn, 4), *without = arg_buf(run->plan, insn, 5);
  const int64_t n = in->dims[0], size = gp_itemsize(in->dtype);
  const char *x = arg_ptr(run, insn, 4), *y = arg_ptr(run, insn, 5);
  char *rest = arg_ptr(run, insn, 0);
  void *index = arg_ptr(run, insn, 1);
  const bool wide = arg_buf(run->plan, insn, 1)->dtype == GP_I64;
  const set s = empty_set(arg_ptr(run, insn, 3), arg_buf(run->plan, insn, 3)->dims[0]);
  int64_t m = 0;
  uint64_t number;
  for (int64_t i = 0; i < without->dims[0]; i++)
    if (number_of(y, in->dtype, i, &number)) *find(&s, y, in->dtype, number) = (int32_t)i + 1;
  for (int64_t i = 0; i < n; i++) {
    if (number_of(x, in->dtype, i, &number) && *find(&s, y, in->dtype, number)) continue;
    put_element(rest, size, m, number, x, i, in->dtype);
    put_index(index, wide, m++, i);
  }
  *(int64_t *)arg_ptr(run, insn, 2) = m;
  return GP_OK;
}

const char *list_diff_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 4, 2, 0);
  if (!wrong) wrong = sets_check(plan, insn, 2);
  if (wrong) return wrong;
  const gp_buf *rest = arg_buf(plan, insn, 0), *index = arg_buf(plan, insn, 1),
               *in = arg_buf(plan, insn, 4), *without = arg_buf(plan, insn, 5);
  if (rest->dtype != in->dtype || without->dtype != in->dtype || !is_index(index))
    return "wrong dtype";
  if (!same_dims(rest, in) || !same_dims(index, in)) return "shapes disagree";
  if (in->dims[0] >= 1 << 30) return "too many elements";
  return set_check(arg_buf(plan, insn, 3), without->dims[0]);
}
