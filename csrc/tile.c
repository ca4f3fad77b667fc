/* The tile interpreter: a fused group of elementwise operations is one instruction whose attributes
 * hold a small program,
 *
 *   n_ops, n_temps, then n_ops times (opcode, dst, a, b, c)
 *
 * where an operand k < n_args is argument k (outputs first), k >= n_args temporary k - n_args, and
 * -1 nothing. All arguments have the same dims; inputs broadcast by stride 0. The flat row-major
 * index space is walked in tiles that stay in L1: each operation is one SIMD loop over a tile.
 * An argument that is contiguous is used where it lies; any other goes through a scratch tile.
 */
#include "kernel.h"
#include "vmath.h"

#ifndef GP_TILE
#define GP_TILE 1024
#endif

enum {
  SLOT_BYTES = 4096,      /* a scratch tile: 1024 elements of 4 bytes, 512 of 8 */
  SLOT_STEP = 4096 + 320, /* padded, so that two slots never share their low 12 address bits */
  N_OPERANDS = GP_MAX_ARGS + GP_MAX_TEMPS,
  MAX_SMALL = GP_SMALL_TILE,
  LONG_ROW = 1024 /* bytes */
};
_Static_assert(MAX_SMALL <= SLOT_BYTES / 8, "a small tile fits a slot");

/* How an argument reaches the operations: in place, as one value repeated, or gathered (and, if an
 * output, scattered) through a scratch tile; or that it is no operand. */
enum how { DIRECT, SPLAT, GATHER, ABSENT };

typedef struct {
  enum how how;
  char *base;
  int64_t size; /* of an element */
  int rank;
  int64_t dims[GP_MAX_RANK], strides[GP_MAX_RANK];
} tile_arg;

/* An argument of the given dims at `base`: adjacent dims that are one walk are merged. What comes
 * out with rank 1 and stride 1 is contiguous, with stride 0 a single value. Made in its place: a
 * copy of what was just written waits for the stores (measured: 10 ns an argument). */
static inline void make_tile_arg(tile_arg *arg, char *base, int64_t size, int rank,
                                 const int64_t *dims, const int64_t *strides) {
  int r = 0;
  for (int i = 0; i < rank; i++) {
    if (dims[i] == 1) continue;
    if (r && arg->strides[r - 1] == strides[i] * dims[i]) {
      arg->dims[r - 1] *= dims[i];
      arg->strides[r - 1] = strides[i];
    } else {
      arg->dims[r] = dims[i];
      arg->strides[r++] = strides[i];
    }
  }
  arg->base = base;
  arg->size = size;
  arg->rank = r;
  if (r == 0 || (r == 1 && arg->strides[0] == 1))
    arg->how = DIRECT;
  else
    arg->how = r == 1 && arg->strides[0] == 0 ? SPLAT : GATHER;
}

#define MOVE(type)                                                               \
  if (gather)                                                                    \
    for (int64_t i = 0; i < n; i++) ((type *)tile)[i] = ((type *)far)[i * step]; \
  else                                                                           \
    for (int64_t i = 0; i < n; i++) ((type *)far)[i * step] = ((type *)tile)[i];

/* A row, in most cases a short one, for which a call takes longer than the copy. */
static inline void copy_row(char *restrict to, const char *restrict from, int64_t bytes) {
  if (bytes > LONG_ROW) {
    memcpy(to, from, (size_t)bytes);
    return;
  }
  for (; bytes >= 64; bytes -= 64, to += 64, from += 64) {
    memcpy(to, from, 64);
    __asm__("" : "+r"(from)); /* or the compiler makes one call of the loop */
  }
#define COPY_PIECE(size) \
  if (bytes & size) memcpy(to, from, size), to += size, from += size
  COPY_PIECE(32);
  COPY_PIECE(16);
  COPY_PIECE(8);
  COPY_PIECE(4);
  COPY_PIECE(2);
  COPY_PIECE(1);
#undef COPY_PIECE
}

#define FILL(type)                                                        \
  {                                                                       \
    type value, row[64 / sizeof(type)];                                   \
    memcpy(&value, far, sizeof(type));                                    \
    for (size_t i = 0; i < 64 / sizeof(type); i++) row[i] = value;        \
    for (int64_t i = 0; i < n * size; i += 64) memcpy(tile + i, row, 64); \
  }

/* One value n times, as whole vectors: what they write too much the next row of the tile takes, or
 * the padding of its slot. */
static inline void fill_row(char *tile, const char *far, int64_t n, int64_t size) {
  if (size == 4)
    FILL(uint32_t)
  else if (size == 8)
    FILL(uint64_t)
  else if (size == 2)
    FILL(uint16_t)
  else
    FILL(uint8_t)
}

/* n elements between a tile and a row of an array whose elements lie `step` apart. */
static inline void move_row(char *tile, char *far, int64_t n, int64_t step, int64_t size,
                            bool gather) {
  if (step == 1) {
    copy_row(gather ? tile : far, gather ? far : tile, n * size);
  } else if (step == 0 && gather) {
    fill_row(tile, far, n, size);
  } else if (size == 4) {
    MOVE(uint32_t)
  } else if (size == 8) {
    MOVE(uint64_t)
  } else if (size == 2) {
    MOVE(uint16_t)
  } else {
    MOVE(uint8_t)
  }
}

/* Elements [start, start + n) of the argument's row-major order, to the tile or back from it. */
static void move_tile(const tile_arg *arg, int64_t start, int64_t n, char *tile, bool gather) {
  const int last = arg->rank - 1;
  int64_t at[GP_MAX_RANK], offset = 0; /* in elements */
  for (int i = last; i >= 0; i--) {
    at[i] = start % arg->dims[i];
    start /= arg->dims[i];
    offset += at[i] * arg->strides[i];
  }
  for (;;) {
    const int64_t m = min_i64(n, arg->dims[last] - at[last]);
    move_row(tile, arg->base + offset * arg->size, m, arg->strides[last], arg->size, gather);
    n -= m;
    if (n == 0) return;
    tile += m * arg->size;
    offset -= at[last] * arg->strides[last];
    at[last] = 0;
    for (int i = last - 1; i >= 0; i--) {
      offset += arg->strides[i];
      if (++at[i] < arg->dims[i]) break;
      offset -= at[i] * arg->strides[i];
      at[i] = 0;
    }
  }
}

/* The sum of an operand over all elements, as reduce_sum makes it: first of its blocks. */
typedef struct {
  int64_t operand;
  int32_t dtype;
  bool mean;
  void *out, *blocks;
} tile_sum;

typedef struct {
  const int64_t *code; /* n_ops times (opcode, dst, a, b, c) */
  int64_t n_ops, n_temps;
  int n_out, n_args;
  int renamed; /* an operand that is another name for argument 1, or -1 */
  int n_sums;
  const tile_sum *sums;
} tile_program;

static inline void make_program(tile_program *program, const gp_plan *plan, const gp_insn *insn) {
  const int64_t *code = plan->attrs + insn->attr;
  program->code = code + 2;
  program->n_ops = code[0];
  program->n_temps = code[1];
  program->n_out = insn->n_out;
  program->n_args = insn->n_out + insn->n_in;
  program->renamed = -1;
  program->n_sums = 0;
}

static void sum_blocks(const tile_sum *sum, const void *x, int64_t start, int64_t n) {
  const int64_t first = start / FOLD_BLOCK;
  for (int64_t b = 0; b * FOLD_BLOCK < n; b++) {
    const int64_t at = b * FOLD_BLOCK, m = min_i64(FOLD_BLOCK, n - at);
    if (sum->dtype == GP_F32)
      ((float *)sum->blocks)[first + b] = row_sum_f32((const float *)x + at, m, 1);
    else
      ((double *)sum->blocks)[first + b] = row_sum_f64((const double *)x + at, m, 1);
  }
}

#define FINISH_SUM(type)                                                                      \
  static type joined_##type(const type *blocks, int64_t n) { /* halves as row_sum has them */ \
    if (n <= FOLD_BLOCK) return blocks[0];                                                    \
    const int64_t half = (n / 2 + FOLD_BLOCK - 1) / FOLD_BLOCK * FOLD_BLOCK;                  \
    const type left = joined_##type(blocks, half);                                            \
    return left + joined_##type(blocks + half / FOLD_BLOCK, n - half);                        \
  }                                                                                           \
  static void finish_sum_##type(const tile_sum *sum, int64_t n) {                             \
    const type total = n ? joined_##type(sum->blocks, n) : 0;                                 \
    *(type *)sum->out = sum->mean ? total / (type)n : total;                                  \
  }
FINISH_SUM(float)
FINISH_SUM(double)

/* The largest tile whose operands all fit a scratch slot. */
static int64_t tile_length(const tile_program *program, const tile_arg *args, int64_t n) {
  const int n_args = program->n_args;
  bool wide = false;
  if (n <= min_i64(GP_TILE, SLOT_BYTES / 8)) return n;
  for (int k = 0; k < n_args; k++) wide |= args[k].size == 8;
  for (int64_t i = 0; i < program->n_ops; i++)
    wide |= gp_itemsize(tile_table[program->code[5 * i]].out) == 8;
  if (program->n_sums) return min_i64(n, wide ? SLOT_BYTES / 8 : SLOT_BYTES / 4); /* whole blocks */
  int64_t tile = min_i64(GP_TILE, wide ? SLOT_BYTES / 8 : SLOT_BYTES / 4);
  for (int k = 0; k < n_args; k++) { /* whole periods of a bias row, so that it is gathered once */
    if (args[k].how != GATHER || args[k].strides[0]) continue;
    int64_t period = 1;
    for (int i = 1; i < args[k].rank; i++) period *= args[k].dims[i];
    if (period <= tile) tile -= tile % period;
  }
  return min_i64(n, tile);
}

static bool repeats(const tile_arg *arg, int64_t tile) {
  int64_t period = 1;
  if (arg->strides[0]) return false;
  for (int i = 1; i < arg->rank; i++) period *= arg->dims[i];
  return tile % period == 0;
}

/* One operation of a program; is_one[k] tells of operand k that all its elements are one value. */
static inline int run_step(int64_t n, const int64_t *op, char *const *reg, const bool *is_one,
                           int64_t *bad) {
  const gp_tile_entry *entry = &tile_table[op[0]];
  char *dst = reg[op[1]], *a = reg[op[2]], *b = reg[op[3]], *c = reg[op[4]];
  if (entry->one) {
    if (is_one[op[3]]) return entry->one(n, dst, a, b, c, bad);
    if (is_one[op[2]]) return entry->one(n, dst, b, a, c, bad);
  }
  return entry->run(n, dst, a, b, c, bad);
}

/* Elements [from, to) of the arguments' row-major order. GP_OK or a status with *bad the element.
 */
static int tile_range(const tile_program *program, const tile_arg *args, int64_t from, int64_t to,
                      int64_t *bad) {
  const int n_out = program->n_out, n_args = program->n_args;
  const int64_t *code = program->code, tile = tile_length(program, args, to - from);
  _Alignas(64) char scratch[N_OPERANDS * SLOT_STEP];
  char *operands[1 + N_OPERANDS], **reg = operands + 1; /* reg[-1] is the absent operand */
  bool stays[GP_MAX_ARGS];                              /* gathered once for all tiles */
  bool ones[1 + N_OPERANDS] = {0}, *is_one = ones + 1;

  for (int64_t k = 0; k < n_args + program->n_temps; k++) reg[k] = scratch + k * SLOT_STEP;
  reg[-1] = NULL;
  for (int k = 0; k < n_args; k++) {
    is_one[k] = args[k].how == SPLAT;
    if (is_one[k]) move_row(reg[k], args[k].base, tile, 0, args[k].size, true);
    stays[k] = args[k].how == GATHER && from % tile == 0 && repeats(&args[k], tile);
  }
  for (int64_t start = from; start < to; start += tile) {
    const int64_t n = min_i64(tile, to - start);
    for (int k = 0; k < n_args; k++) {
      if (args[k].how == DIRECT)
        reg[k] = args[k].base + start * args[k].size;
      else if (args[k].how == GATHER && k >= n_out && !(stays[k] && start > from))
        move_tile(&args[k], start, n, reg[k], true);
    }
    if (program->renamed >= 0) reg[program->renamed] = reg[1];
    for (const int64_t *op = code; op < code + 5 * program->n_ops; op += 5) {
      int64_t at;
      const int rc = run_step(n, op, reg, is_one, &at);
      if (rc) return *bad = start + at, rc;
    }
    for (int k = 0; k < n_out; k++)
      if (args[k].how == GATHER) move_tile(&args[k], start, n, reg[k], false);
    for (int k = 0; k < program->n_sums; k++)
      sum_blocks(&program->sums[k], reg[program->sums[k].operand], start, n);
  }
  return GP_OK;
}
_Static_assert(SLOT_BYTES / 8 % FOLD_BLOCK == 0, "whole blocks of a sum");

typedef struct {
  const tile_program *program;
  const tile_arg *args;
  int64_t n, chunk;
  struct {
    int status;
    int64_t bad;
  } result[MAX_TASKS];
} tile_job;

static void tile_task(void *ctx, int64_t task) {
  tile_job *job = ctx;
  const int64_t from = task * job->chunk;
  job->result[task].status = tile_range(job->program, job->args, from,
                                        min_i64(from + job->chunk, job->n), &job->result[task].bad);
}

/* A program over the shape of the arguments, in tasks. */
static int run_tiles(gp_run *run, const gp_insn *insn, const tile_program *program, int64_t n) {
  tile_arg args[GP_MAX_ARGS];
  int64_t bad;
  int rc = GP_OK;
  for (int k = 0; k < program->n_args; k++) {
    const gp_buf *buf = arg_buf(run->plan, insn, k);
    make_tile_arg(&args[k], arg_ptr(run, insn, k), gp_itemsize(buf->dtype), buf->rank, buf->dims,
                  buf->strides);
    if (k >= program->n_out && k < insn->n_out) args[k].how = ABSENT;
  }
  /* Four operations on what lies in a tile take as long as its way from memory and back. */
  const int64_t each = 1 + program->n_ops / 4;
  if (n * each < 2 * GP_PARALLEL) {
    rc = tile_range(program, args, 0, n, &bad);
  } else { /* whole tiles, so that what stays is gathered once a task */
    const int64_t tile = tile_length(program, args, n);
    const int64_t least = (min_i64(GP_PARALLEL, (n + 1) / 2) + tile - 1) / tile * tile;
    tile_job job = {program, args, n, piece_of(n, least, MAX_TASKS), {{0}}};
    const int64_t n_tasks = (n + job.chunk - 1) / job.chunk;
    gp_parallel(run->threads, n_tasks, tile_task, &job);
    for (int64_t t = n_tasks - 1; t >= 0; t--)
      if (job.result[t].status) rc = job.result[t].status, bad = job.result[t].bad;
  }
  return rc ? fail(run, rc, bad, 0, 0) : GP_OK;
}

static int tile_kernel(gp_run *run, const gp_insn *insn) {
  tile_program program;
  make_program(&program, run->plan, insn);
  const int64_t n = count(arg_buf(run->plan, insn, 0));
  return n ? run_tiles(run, insn, &program, n) : GP_OK;
}

/* tile_small   a program of few elements, which one scratch slot holds: every argument is n in a
 *              row, or one that stands for all. Nothing but the program itself is looked at: to
 *              find out again what the arguments are like takes longer than a small tile.
 *              attrs the program, then n and a mask of the arguments that are one for all */
static int tile_small_kernel(gp_run *run, const gp_insn *insn) {
  const int32_t *numbers = run->plan->args + insn->arg;
  const int64_t *code = run->plan->attrs + insn->attr, *end = code + 2 + 5 * code[0];
  const int64_t n = end[0], n_temps = code[1];
  const int n_args = insn->n_out + insn->n_in;
  _Alignas(64) char scratch[N_OPERANDS * SLOT_STEP];
  char *operands[1 + N_OPERANDS], **reg = operands + 1;
  bool is_ones[1 + N_OPERANDS] = {0}, *is_one = is_ones + 1;
  int64_t bad;
  reg[-1] = NULL;
  for (int k = 0; k < n_args; k++) reg[k] = run->ptr[numbers[k]];
  for (int64_t k = n_args; k < n_args + n_temps; k++) reg[k] = scratch + k * SLOT_STEP;
  for (int64_t ones = end[1]; ones; ones &= ones - 1) {
    const int k = __builtin_ctzll((uint64_t)ones);
    const int64_t size = gp_itemsize(arg_buf(run->plan, insn, k)->dtype);
    move_row(scratch + k * SLOT_STEP, reg[k], n, 0, size, true);
    reg[k] = scratch + k * SLOT_STEP;
    is_one[k] = true;
  }
  for (const int64_t *op = code + 2; op < end; op += 5) {
    const int rc = run_step(n, op, reg, is_one, &bad);
    if (rc) return fail(run, rc, bad, 0, 0);
  }
  return GP_OK;
}

/* tile_sum   outs what the program writes, then the sums, then what each needs for its blocks
 *            attrs the program, then for each sum its operand and whether it is a mean */
static int tile_sum_kernel(gp_run *run, const gp_insn *insn) {
  const gp_plan *plan = run->plan;
  tile_program program;
  make_program(&program, plan, insn);
  const int64_t *which = program.code + 5 * program.n_ops;
  const int64_t n = count(arg_buf(plan, insn, insn->n_out));
  tile_sum sums[GP_MAX_SUMS];
  program.n_sums = (int)(insn->n_attr - 2 - 5 * program.n_ops) / 2;
  program.n_out -= 2 * program.n_sums;
  program.sums = sums;
  for (int k = 0; k < program.n_sums; k++) {
    const int out = program.n_out + k, blocks = out + program.n_sums;
    sums[k] = (tile_sum){.operand = which[2 * k],
                         .dtype = arg_buf(plan, insn, out)->dtype,
                         .mean = which[2 * k + 1],
                         .out = arg_ptr(run, insn, out),
                         .blocks = arg_ptr(run, insn, blocks)};
  }
  const int rc = n ? run_tiles(run, insn, &program, n) : GP_OK;
  for (int k = 0; rc == GP_OK && k < program.n_sums; k++) {
    if (sums[k].dtype == GP_F32)
      finish_sum_float(&sums[k], n);
    else
      finish_sum_double(&sums[k], n);
  }
  return rc;
}

/* ---- its checker ---- */

static bool same_place(const gp_buf *a, const gp_buf *b) {
  return a->segment == b->segment && a->slot == b->slot && a->offset == b->offset;
}

/* A tile program over the arguments args[n_args], of which the first n_out are written and NULL is
 * no operand; n_sums sums follow it. */
static const char *program_check(const gp_plan *plan, const gp_insn *insn,
                                 const gp_buf *const *args, int n_out, int n_args, int n_sums) {
  const int64_t *code = plan->attrs + insn->attr + 2;
  int dtype[N_OPERANDS]; /* what each operand holds by now, -1 for nothing */
  if (insn->n_attr < 2) return "a tile program needs its two counts";
  const int64_t n_ops = code[-2], n_temps = code[-1];
  if (n_ops < 0 || n_ops > insn->n_attr || insn->n_attr != 2 + 5 * n_ops + 2 * n_sums)
    return "the tile program's length disagrees with its count";
  if (n_temps < 0 || n_temps > GP_MAX_TEMPS) return "too many temporaries";
  for (int k = 0; k < n_args + n_temps; k++)
    dtype[k] = k < n_out || k >= n_args || !args[k] ? -1 : args[k]->dtype;
  for (int64_t i = 0; i < n_ops; i++) {
    const int64_t *op = code + 5 * i, dst = op[1];
    if (op[0] < 0 || op[0] >= N_TILE_OPS) return "no such tile operation";
    const gp_tile_entry *entry = &tile_table[op[0]];
    for (int j = 0; j < 3; j++) {
      const int64_t k = op[2 + j];
      if (j >= entry->arity) {
        if (k != -1) return "a tile operation has too many operands";
        continue;
      }
      if (k < 0 || k >= n_args + n_temps) return "a tile operand is out of range";
      if (dtype[k] == -1) return "a tile operand is read before it is written";
      if (dtype[k] != entry->in[j]) return "a tile operand has the wrong dtype";
    }
    if (dst < 0 || dst >= n_args + n_temps) return "a tile destination is out of range";
    if (dst >= n_out && dst < n_args) return "a tile operation writes an input";
    if (dst < n_out) {
      if (args[dst]->dtype != entry->out) return "an output has the wrong dtype";
      for (const int64_t *late = op + 5; late < code + 5 * n_ops; late += 5)
        for (int j = 2; j < 5; j++)
          if (late[j] >= n_out && late[j] < n_args && args[late[j]] &&
              same_place(args[late[j]], args[dst]))
            return "an output in place of an input is written before the input's last use";
    }
    dtype[dst] = entry->out;
  }
  for (int k = 0; k < n_out; k++)
    if (dtype[k] == -1) return "an output is never written";
  for (int k = 0; k < n_sums; k++) {
    const int64_t operand = code[5 * n_ops + 2 * k];
    if (operand < 0 || operand >= n_args + n_temps || (operand >= n_out && operand < n_args))
      return "the operand of a sum is out of range";
    if (dtype[operand] != arg_buf(plan, insn, n_out + k)->dtype) return "a sum has the wrong dtype";
  }
  return NULL;
}

static const char *tile_check(const gp_plan *plan, const gp_insn *insn) {
  const gp_buf *args[GP_MAX_ARGS];
  if (insn->n_out < 1) return "a tile program needs an output";
  if (insn->n_out + insn->n_in > GP_MAX_ARGS) return "too many arguments";
  for (int k = 0; k < insn->n_out + insn->n_in; k++) {
    if (!arg_wanted(plan, insn, k)) return "an argument is missing";
    args[k] = arg_buf(plan, insn, k);
    if (!same_dims(args[k], args[0])) return "shapes disagree";
  }
  return program_check(plan, insn, args, insn->n_out, insn->n_out + insn->n_in, 0);
}

static const char *tile_small_check(const gp_plan *plan, const gp_insn *insn) {
  gp_insn program = *insn;
  program.n_attr -= 2;
  if (insn->n_attr < 4) return "a tile program, a count and a mask are expected";
  const char *wrong = tile_check(plan, &program);
  if (wrong) return wrong;
  const int64_t *last = plan->attrs + insn->attr + program.n_attr;
  const int64_t n = last[0];
  const uint64_t ones = (uint64_t)last[1];
  const int n_args = insn->n_out + insn->n_in;
  if (n < 1 || n > MAX_SMALL || n != count(arg_buf(plan, insn, 0))) return "bad number of elements";
  if (ones >> n_args || (ones & ((1u << insn->n_out) - 1))) return "bad mask of arguments";
  for (int k = 0; k < n_args; k++) {
    const gp_buf *arg = arg_buf(plan, insn, k);
    if (ones >> k & 1) {
      for (int i = 0; i < arg->rank; i++)
        if (arg->strides[i] && arg->dims[i] > 1) return "an argument is not one for all";
    } else if (!is_contiguous(arg)) {
      return "an argument is not contiguous";
    }
  }
  return NULL;
}

static const char *tile_sum_check(const gp_plan *plan, const gp_insn *insn) {
  const gp_buf *args[GP_MAX_ARGS];
  const int64_t n_ops = insn->n_attr < 2 ? 0 : plan->attrs[insn->attr];
  if (insn->n_attr < 2 || n_ops < 0 || n_ops > insn->n_attr) return "a tile program is expected";
  if (insn->n_out + insn->n_in > GP_MAX_ARGS) return "too many arguments";
  const int64_t n_sums = (insn->n_attr - 2 - 5 * n_ops) / 2, n_out = insn->n_out - 2 * n_sums;
  if (n_sums < 1 || n_sums > GP_MAX_SUMS || n_out < 0) return "bad number of sums";
  if (insn->n_in < 1) return "a tile program with sums needs an input";
  const gp_buf *like = arg_buf(plan, insn, insn->n_out);
  const int64_t n = count(like);
  for (int k = 0; k < insn->n_out + insn->n_in; k++) {
    if (!arg_wanted(plan, insn, k)) return "an argument is missing";
    const gp_buf *arg = arg_buf(plan, insn, k);
    args[k] = k < n_out || k >= insn->n_out ? arg : NULL;
    if (args[k] && !same_dims(arg, like)) return "shapes disagree";
    if (args[k]) continue;
    if (!is_float(arg)) return "wrong dtype";
    if (!is_contiguous(arg)) return "an argument is not contiguous";
    if (k < n_out + n_sums && count(arg) != 1) return "a sum is a scalar";
    if (k >= n_out + n_sums && count(arg) < (n + FOLD_BLOCK - 1) / FOLD_BLOCK)
      return "too few blocks for a sum";
    if (k >= n_out + n_sums && arg->dtype != arg_buf(plan, insn, k - (int)n_sums)->dtype)
      return "wrong dtype";
  }
  return program_check(plan, insn, args, (int)n_out, insn->n_out + insn->n_in, (int)n_sums);
}
