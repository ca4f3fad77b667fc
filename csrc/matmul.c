/* The kernels of matrix products:
 *
 *   matmul       outs y[m, n]                     ins a[m, k], b[k, n]
 *   matmul_map   outs y[m, n], colsum[n] or -1    ins a[m, k], b[k, n], x1[m, n], x2[m, n] ...
 *                attrs: a tile program over 0: y, 1: a b, 2: x1, 3: x2 ..., then temporaries
 *   matmul_sum   outs y[m, n]                     ins a1[m, k1], b1[k1, n], a2[m, k2], b2[k2, n]
 * ...
 *
 * matmul_map computes y = program(a b, x...) and colsum[j] = sum of y[i, j] over i, a panel of rows
 * at a time, so that the program and the sum find the panel in the cache. What the program begins
 * with is left to the product itself where it knows how (a bias, relu, relu's gradient); for our
 * own products that happens in registers. Panels are cut by the shapes alone.
 */
#include "kernel.h"

#define MATMUL_INT(type)                                                                    \
  static void matmul_##type(const gp_buf *out, const gp_buf *a, const gp_buf *b,            \
                            u_##type *restrict c, const u_##type *pa, const u_##type *pb) { \
    const int64_t m = a->dims[0], k = a->dims[1], n = b->dims[1];                           \
    for (int64_t i = 0; i < m; i++, c += out->strides[0]) {                                 \
      for (int64_t j = 0; j < n; j++) c[j] = 0;                                             \
      for (int64_t l = 0; l < k; l++) {                                                     \
        const u_##type x = pa[i * a->strides[0] + l * a->strides[1]];                       \
        const u_##type *row = pb + l * b->strides[0];                                       \
        for (int64_t j = 0; j < n; j++) c[j] += x * row[j * b->strides[1]];                 \
      }                                                                                     \
    }                                                                                       \
  }
MATMUL_INT(i32)
MATMUL_INT(i64)

/* The product of matrices laid out so, without their addresses. This and all that an instruction is
 * made into are made in their place: a copy of what was just written waits for the stores. */
static inline void make_layout(product *p, const gp_buf *c, const gp_buf *a, const gp_buf *b) {
  p->m = a->dims[0], p->n = b->dims[1], p->k = a->dims[1];
  p->ars = a->strides[0], p->acs = a->strides[1];
  p->brs = b->strides[0], p->bcs = b->strides[1];
  p->ldc = p->m == 1 ? p->n : c->strides[0];
  p->bias = p->gate = NULL;
  p->ldg = 0;
  p->relu = p->more = false;
}

/* The product of arguments `in` and `in` + 1 into argument `out`. */
static inline void make_product(product *p, const gp_run *run, const gp_insn *insn, int out,
                                int in) {
  const gp_plan *plan = run->plan;
  make_layout(p, arg_buf(plan, insn, out), arg_buf(plan, insn, in), arg_buf(plan, insn, in + 1));
  p->a = arg_ptr(run, insn, in);
  p->b = arg_ptr(run, insn, in + 1);
  p->c = arg_ptr(run, insn, out);
}

static const char *matrices_check(const gp_buf *out, const gp_buf *a, const gp_buf *b) {
  gemm_operand layout;
  if (!is_number(out) || a->dtype != out->dtype || b->dtype != out->dtype) return "wrong dtype";
  if (out->rank != 2 || a->rank != 2 || b->rank != 2) return "a matrix is expected";
  if (out->dims[0] != a->dims[0] || out->dims[1] != b->dims[1] || a->dims[1] != b->dims[0])
    return "shapes disagree";
  if (out->dims[1] > 1 && out->strides[1] != 1) return "the rows of the output are not contiguous";
  if (!is_float(out)) return NULL;
  if (!gemm_layout(out->dims[0], out->dims[1], out->strides[0], out->strides[1], &layout) ||
      layout.trans != 'N')
    return "BLAS cannot write this output";
  if (!gemm_layout(a->dims[0], a->dims[1], a->strides[0], a->strides[1], &layout) ||
      !gemm_layout(b->dims[0], b->dims[1], b->strides[0], b->strides[1], &layout))
    return "BLAS cannot read an operand";
  return gp_blas_table.sgemm ? NULL : "BLAS is not loaded";
}

static const char *product_check(const gp_plan *plan, const gp_insn *insn, int in) {
  return matrices_check(arg_buf(plan, insn, 0), arg_buf(plan, insn, in),
                        arg_buf(plan, insn, in + 1));
}

static const char *matmul_check(const gp_plan *plan, const gp_insn *insn) {
  const char *wrong = check_arity(plan, insn, 1, 2, 0);
  return wrong ? wrong : product_check(plan, insn, 1);
}

/* ---- matmul_map ---- */

#ifndef GP_PANEL
#define GP_PANEL 65536
#define GP_PANEL_ROWS 48
#endif

enum {
  PANEL_BYTES = GP_PANEL,             /* of y: with what belongs to it, a part of the L2 */
  COPIED_BYTES = 16 * GP_PANEL,       /* larger, where each panel copies all of b */
  PANEL_ROWS = GP_PANEL_ROWS,         /* at least, or the copies are what takes the time */
  PARALLEL_PRODUCT = GP_PARALLEL << 3 /* m n k from which a product is cut into tasks */
};

/* Whether each call copies its part of both factors, so that few and large calls are the best. */
static bool copies(enum way way) { return way == BLAS || way == DEEP; }

typedef struct {
  product p;
  enum way way;
  int32_t dtype;
  tile_program program;            /* what is left of it for after the product */
  const gp_buf *bufs[GP_MAX_ARGS]; /* of its arguments; [1] is y's */
  char *base[GP_MAX_ARGS];
  void *colsum;
  bool apart; /* the product cannot lie in y: it goes to a scratch panel */
} mapped;

static const int32_t ADD[] = {[GP_F32] = TILE_add_f32, [GP_F64] = TILE_add_f64};
static const int32_t RELU[] = {[GP_F32] = TILE_relu_f32, [GP_F64] = TILE_relu_f64};
static const int32_t RELU_GRAD[] = {[GP_F32] = TILE_relu_grad_f32, [GP_F64] = TILE_relu_grad_f64};

static bool reads(const int64_t *code, int64_t n_ops, int64_t operand) {
  for (const int64_t *op = code; op < code + 5 * n_ops; op += 5)
    if (op[2] == operand || op[3] == operand || op[4] == operand) return true;
  return false;
}

static bool is_row(const gp_buf *x) { /* the same in all rows */
  return (x->strides[0] == 0 || x->dims[0] == 1) && (x->strides[1] == 1 || x->dims[1] == 1);
}
static bool is_matrix(const gp_buf *x) { return x->strides[1] == 1 || x->dims[1] == 1; }

/* Gives the product as much of the program's beginning as it can do: operations on the product and
 * nothing else that needs it. */
static void absorb(mapped *map) {
  tile_program *program = &map->program;
  const int64_t *code = program->code, n_ops = program->n_ops;
  product *p = &map->p;
  int64_t done = 0, name = 1; /* of the product so far */
  for (; done < n_ops; done++) {
    const int64_t *op = code + 5 * done;
    const bool last = done == n_ops - 1;
    if ((op[1] == 0) != last || reads(op + 5, n_ops - 1 - done, name)) break;
    if (op[0] == ADD[map->dtype] && !p->bias && !p->relu && !p->gate && op[2] != op[3] &&
        (op[2] == name || op[3] == name)) {
      const int64_t x = op[2] == name ? op[3] : op[2];
      if (x < 2 || x >= program->n_args || !is_row(map->bufs[x])) break;
      p->bias = map->base[x];
    } else if (op[0] == RELU[map->dtype] && !p->gate && op[2] == name) {
      p->relu = true;
    } else if (op[0] == RELU_GRAD[map->dtype] && !p->gate && op[2] == name && op[3] != name) {
      const int64_t x = op[3];
      if (x < 2 || x >= program->n_args || !is_matrix(map->bufs[x])) break;
      p->gate = map->base[x];
      p->ldg = map->bufs[x]->strides[0];
    } else {
      break;
    }
    name = op[1];
  }
  program->code += 5 * done;
  program->n_ops -= done;
  program->renamed = done ? (int)name : -1;
}

/* y in place of an x is no harm where everything ends in registers; else the product must not
 * destroy that x. Nor may y be written before the program is done with the product. */
static void place(mapped *map) {
  tile_program *program = &map->program;
  const int64_t *code = program->code, n_ops = program->n_ops;
  bool twin = false;
  for (int k = 2; k < program->n_args; k++) twin |= map->base[k] == map->base[0];
  map->apart = false;
  if (n_ops == 0) return;
  absorb(map);
  if (program->n_ops == 0 && (!twin || map->way <= PACKED_BLOCKS)) return;
  for (int64_t i = 0; i < n_ops - 1; i++) map->apart |= code[5 * i + 1] == 0;
  map->apart |= twin;
  if (!map->apart) return;
  program->code = code, program->n_ops = n_ops, program->renamed = -1;
  map->p.bias = map->p.gate = NULL, map->p.relu = false;
}

#define COLSUM(type)                                                                          \
  static void colsum_##type(const t_##type *y, int64_t rows, int64_t ld, int64_t n, bool add, \
                            t_##type *colsum) {                                               \
    for (int64_t j = 0; j < n; j += FOLD_WIDTH) {                                             \
      t_##type sum[FOLD_WIDTH];                                                               \
      const int64_t w = min_i64(FOLD_WIDTH, n - j);                                           \
      cols_sum_##type(y + j, rows, ld, w, 1, sum);                                            \
      for (int64_t i = 0; i < w; i++) colsum[j + i] = add ? colsum[j + i] + sum[i] : sum[i];  \
    }                                                                                         \
  }
COLSUM(f32)
COLSUM(f64)

/* Rows [i, i + m) and columns [j, j + n). GP_OK or a status with *bad the element of y at fault. */
static int map_panel(const mapped *map, int64_t i, int64_t m, int64_t j, int64_t n, char *scratch,
                     int64_t *bad) {
  const int64_t size = gp_itemsize(map->dtype), ldy = map->p.ldc;
  char *y = (char *)map->p.c + (i * ldy + j) * size;
  if (m == map->p.m && n == map->p.n && !map->apart) {
    multiply(&map->p, map->dtype, map->way);
  } else {
    product p = map->p;
    p.m = m, p.n = n;
    p.a = (const char *)p.a + i * p.ars * size;
    p.b = (const char *)p.b + j * p.bcs * size;
    p.c = map->apart ? scratch : y;
    p.ldc = map->apart ? n : ldy;
    if (p.bias) p.bias = (const char *)p.bias + j * size;
    if (p.gate) p.gate = (const char *)p.gate + (i * p.ldg + j) * size;
    multiply(&p, map->dtype, map->way);
  }
  if (map->program.n_ops) {
    const int64_t dims[2] = {m, n}, packed[2] = {n, 1};
    tile_arg args[GP_MAX_ARGS];
    for (int k = 0; k < map->program.n_args; k++) {
      const int64_t *strides = map->bufs[k]->strides, its = gp_itemsize(map->bufs[k]->dtype);
      if (k == 1 && map->apart)
        make_tile_arg(&args[k], scratch, size, 2, dims, packed);
      else
        make_tile_arg(&args[k], map->base[k] + (i * strides[0] + j * strides[1]) * its, its, 2,
                      dims, strides);
    }
    const int rc = tile_range(&map->program, args, 0, m * n, bad);
    if (rc) {
      *bad = (i + *bad / n) * map->p.n + j + *bad % n;
      return rc;
    }
  }
  if (!map->colsum) return GP_OK;
  char *colsum = (char *)map->colsum + j * size;
  if (map->dtype == GP_F32)
    colsum_f32((float *)y, m, ldy, n, i > 0, (float *)colsum);
  else
    colsum_f64((double *)y, m, ldy, n, i > 0, (double *)colsum);
  return GP_OK;
}

/* ---- the cut into tasks ---- */

typedef struct {
  mapped *map;
  int64_t rows, cols, across; /* of a task; tasks side by side */
  struct {
    int status;
    int64_t bad;
  } result[MAX_TASKS];
} map_job;

/* A task: its panels one after the other. */
static void map_task(void *ctx, int64_t task) {
  map_job *job = ctx;
  const mapped *map = job->map;
  const int64_t i0 = task / job->across * job->rows, j0 = task % job->across * job->cols;
  const int64_t m = min_i64(job->rows, map->p.m - i0), n = min_i64(job->cols, map->p.n - j0);
  const int64_t size = gp_itemsize(map->dtype);
  const bool ends = map->p.bias || map->p.relu || map->p.gate;
  const bool whole = map->program.n_ops == 0 && !map->colsum && !(map->way == BLAS && ends);
  _Alignas(64) char scratch[PANEL_BYTES];
  const int64_t bytes = copies(map->way) && !map->apart ? COPIED_BYTES : PANEL_BYTES;
  const int64_t cols = map->apart ? min_i64(n, PANEL_BYTES / size / PANEL_ROWS) : n;
  int64_t rows = bytes / (cols * size);
  if (!map->apart && rows < PANEL_ROWS) rows = PANEL_ROWS;
  if (whole) rows = m;
  job->result[task].status = GP_OK;
  for (int64_t i = 0; i < m; i += rows)
    for (int64_t j = 0; j < n; j += cols) {
      const int rc = map_panel(map, i0 + i, min_i64(rows, m - i), j0 + j, min_i64(cols, n - j),
                               scratch, &job->result[task].bad);
      if (rc) {
        job->result[task].status = rc;
        return;
      }
    }
}

/* By columns where the copies that the product makes of its operands, or the sums of columns, would
 * be made by every task otherwise. */
static int map_run(gp_run *run, mapped *map) {
  const int64_t m = map->p.m, n = map->p.n;
  map_job job = {.map = map, .rows = m, .cols = n};
  if (m == 0 || n == 0) return GP_OK;
  const int64_t work = m * n * map->p.k;
  if (work >= PARALLEL_PRODUCT) {
    const bool by_columns = map->way != TURNED && (map->colsum || n >= m || n >= 512);
    const int64_t size = by_columns ? n : m;
    const int64_t least = copies(map->way) ? 128 : by_columns ? 32 : 4;
    const int64_t tasks = copies(map->way) ? (size < 1024 ? 2 : 4) : 2 * work / PARALLEL_PRODUCT;
    const int64_t piece = piece_of(size, least, min_i64(tasks, MAX_TASKS));
    if (by_columns)
      job.cols = piece;
    else if (!map->colsum)
      job.rows = piece;
  }
  job.across = (n + job.cols - 1) / job.cols;
  const int64_t n_tasks = (m + job.rows - 1) / job.rows * job.across;
  gp_parallel(run->threads, n_tasks, map_task, &job);
  for (int64_t t = 0; t < n_tasks; t++)
    if (job.result[t].status) return fail(run, job.result[t].status, job.result[t].bad, 0, 0);
  return GP_OK;
}

static int matmul_kernel(gp_run *run, const gp_insn *insn) {
  const gp_buf *out = arg_buf(run->plan, insn, 0);
  if (is_float(out)) {
    mapped map;
    make_product(&map.p, run, insn, 0, 1);
    map.dtype = out->dtype;
    map.way = product_way(&map.p, out->dtype);
    map.program.n_ops = 0;
    map.colsum = NULL;
    map.apart = false;
    return map_run(run, &map);
  }
  product p;
  make_product(&p, run, insn, 0, 1);
  if (out->dtype == GP_I32)
    matmul_i32(out, arg_buf(run->plan, insn, 1), arg_buf(run->plan, insn, 2), p.c, p.a, p.b);
  else
    matmul_i64(out, arg_buf(run->plan, insn, 1), arg_buf(run->plan, insn, 2), p.c, p.a, p.b);
  return GP_OK;
}

static int matmul_map_kernel(gp_run *run, const gp_insn *insn) {
  const gp_plan *plan = run->plan;
  mapped map;
  make_product(&map.p, run, insn, 0, 2);
  map.dtype = arg_buf(plan, insn, 0)->dtype;
  map.way = product_way(&map.p, map.dtype);
  map.colsum = arg_wanted(plan, insn, 1) ? arg_ptr(run, insn, 1) : NULL;
  if (map.p.m == 0 && map.colsum) memset(map.colsum, 0, (size_t)(map.p.n * gp_itemsize(map.dtype)));
  make_program(&map.program, plan, insn);
  map.program.n_out = 1;
  map.program.n_args = insn->n_in; /* y and the product for a and b */
  for (int k = 0; k < map.program.n_args; k++) {
    const int arg = k < 2 ? 0 : k + 2;
    map.bufs[k] = arg_buf(plan, insn, arg);
    map.base[k] = arg_ptr(run, insn, arg);
  }
  place(&map);
  return map_run(run, &map);
}

static const char *matmul_map_check(const gp_plan *plan, const gp_insn *insn) {
  const gp_buf *args[GP_MAX_ARGS];
  if (insn->n_out != 2 || insn->n_in < 2 || insn->n_in > GP_MAX_ARGS - 2)
    return "wrong number of arguments";
  for (int k = 0; k < 2 + insn->n_in; k++)
    if (k != 1 && !arg_wanted(plan, insn, k)) return "an argument is missing";
  const char *wrong = product_check(plan, insn, 2);
  if (wrong) return wrong;
  const gp_buf *y = args[0] = args[1] = arg_buf(plan, insn, 0);
  if (!is_float(y)) return "wrong dtype";
  if (arg_wanted(plan, insn, 1)) {
    const gp_buf *colsum = arg_buf(plan, insn, 1);
    if (colsum->dtype != y->dtype) return "wrong dtype";
    if (count(colsum) != y->dims[1]) return "shapes disagree";
    if (!is_contiguous(colsum)) return "an argument is not contiguous";
  }
  for (int k = 2; k < insn->n_in; k++) {
    args[k] = arg_buf(plan, insn, k + 2);
    if (!same_dims(args[k], y)) return "shapes disagree";
  }
  if (insn->n_attr == 2 && plan->attrs[insn->attr] == 0) return NULL; /* y is the product */
  return program_check(plan, insn, args, 1, insn->n_in, 0);
}

/* ---- matmul_sum: y = a1 b1 + a2 b2 + ..., from left to right ---- */

typedef struct {
  int n_products;
  int32_t dtype;
  product p[GP_MAX_ARGS / 2];
  enum way way[GP_MAX_ARGS / 2];
  int64_t rows, cols, across; /* of a task; tasks side by side */
} sum_job;

/* A way that can add to what c holds. */
static enum way adding_way(const product *p, int32_t dtype) {
  const enum way way = product_way(p, dtype);
  if (way == BLOCKS || way == PACKED_BLOCKS || way == DEEP || way == BLAS) return way;
  return p->k > SMALL_DEPTH ? DEEP : p->bcs == 1 ? BLOCKS : PACKED_BLOCKS;
}

static void sum_task(void *ctx, int64_t task) {
  const sum_job *job = ctx;
  const int64_t i = task / job->across * job->rows, j = task % job->across * job->cols;
  const int64_t size = gp_itemsize(job->dtype);
  for (int k = 0; k < job->n_products; k++) {
    product p = job->p[k];
    p.m = min_i64(job->rows, p.m - i), p.n = min_i64(job->cols, p.n - j);
    p.a = (const char *)p.a + i * p.ars * size;
    p.b = (const char *)p.b + j * p.bcs * size;
    p.c = (char *)p.c + (i * p.ldc + j) * size;
    multiply(&p, job->dtype, job->way[k]);
  }
}

static int matmul_sum_kernel(gp_run *run, const gp_insn *insn) {
  sum_job job;
  const gp_buf *y = arg_buf(run->plan, insn, 0);
  const int64_t m = y->dims[0], n = y->dims[1];
  int64_t work = 0;
  job.n_products = insn->n_in / 2;
  job.dtype = y->dtype;
  for (int k = 0; k < job.n_products; k++) {
    make_product(&job.p[k], run, insn, 0, 1 + 2 * k);
    job.p[k].more = k > 0;
    job.way[k] = adding_way(&job.p[k], job.dtype);
    work += m * n * job.p[k].k;
  }
  if (m == 0 || n == 0) return GP_OK;
  job.rows = m, job.cols = n;
  if (work >= PARALLEL_PRODUCT) {
    const int64_t tasks = min_i64(work / PARALLEL_PRODUCT + 1, n >= m ? 4 : MAX_TASKS);
    if (n >= m)
      job.cols = piece_of(n, 32, tasks);
    else
      job.rows = piece_of(m, BLOCK_ROWS, tasks);
  }
  job.across = (n + job.cols - 1) / job.cols;
  gp_parallel(run->threads, (m + job.rows - 1) / job.rows * job.across, sum_task, &job);
  return GP_OK;
}

static const char *matmul_sum_check(const gp_plan *plan, const gp_insn *insn) {
  if (insn->n_in < 2 || insn->n_in % 2 || insn->n_in >= GP_MAX_ARGS)
    return "wrong number of arguments";
  const char *wrong = check_arity(plan, insn, 1, insn->n_in, 0);
  for (int in = 1; !wrong && in <= insn->n_in; in += 2) wrong = product_check(plan, insn, in);
  if (!wrong && !is_float(arg_buf(plan, insn, 0))) wrong = "wrong dtype";
  return wrong;
}
