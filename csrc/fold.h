/* One reduction for one type; included by reduce.c once for each with
 *
 *   FOLD   its name, e.g. sum_f32        T      the element type
 *   INIT   the value of nothing          STEP   the combination of x and y
 *
 * Everything is combined pairwise (halves of halves down to a block), so the error of a float sum
 * grows like log n; the order depends on the shape alone.
 */
#define ROW PASTE(row, FOLD)
#define LANES_OF PASTE(lanes, FOLD)
#define COLS PASTE(cols, FOLD)
#define SIDE PASTE(side, FOLD)
#define LEVEL PASTE(level, FOLD)
#define RUN PASTE(fold, FOLD)
#define ITEMS PASTE(items, FOLD)
#define SPLIT PASTE(split, FOLD)
#define JOIN PASTE(join, FOLD)
#define JOB PASTE(job, FOLD)
#define ITEMS_TASK PASTE(items_task, FOLD)
#define LEAF_TASK PASTE(leaf_task, FOLD)
#define STEP_FN PASTE(step, FOLD)

static inline T STEP_FN(T x, T y) { return STEP; }

/* p[0..n) with `lanes` accumulators side by side, then a tree over them. */
static inline __attribute__((always_inline)) T LANES_OF(const T *p, int64_t n, const int lanes) {
  T acc[FOLD_LANES];
  int64_t i = 0;
  for (int j = 0; j < lanes; j++) acc[j] = p[j];
  for (i = lanes; i + lanes <= n; i += lanes)
    for (int j = 0; j < lanes; j++) acc[j] = STEP_FN(acc[j], p[i + j]);
  if (i < n) { /* a number of steps that the compiler knows keeps acc in registers */
    const int64_t left = n - i;
    for (int j = 0; j < lanes; j++) acc[j] = j < left ? STEP_FN(acc[j], p[i + j]) : acc[j];
  }
#pragma GCC unroll 6
  for (int half = lanes / 2; half; half /= 2)
    for (int j = 0; j < half; j++) acc[j] = STEP_FN(acc[j], acc[j + half]);
  return acc[0];
}

/* n elements `stride` apart. */
static T ROW(const T *p, int64_t n, int64_t stride) {
  const int64_t block = stride == 1 ? FOLD_BLOCK : FOLD_ROWS;
  if (n > block) {
    const int64_t half = (n / 2 + block - 1) / block * block;
    const T left = ROW(p, half, stride);
    return STEP_FN(left, ROW(p + half * stride, n - half, stride));
  }
  if (stride == 1 && n >= FOLD_LANES) return LANES_OF(p, n, FOLD_LANES);
  if (stride == 1 && n >= 8) return LANES_OF(p, n, 8);
  T acc = INIT;
  for (int64_t i = 0; i < n; i++) acc = STEP_FN(acc, p[i * stride]);
  return acc;
}

/* FOLD_SIDE columns, whose accumulators stay in registers. */
static void SIDE(const T *p, int64_t rows, int64_t row_step, T *out) {
  T acc[FOLD_SIDE];
  for (int j = 0; j < FOLD_SIDE; j++) acc[j] = INIT;
  for (int64_t i = 0; i < rows; i++, p += row_step)
    for (int j = 0; j < FOLD_SIDE; j++) acc[j] = STEP_FN(acc[j], p[j]);
  for (int j = 0; j < FOLD_SIDE; j++) out[j] = acc[j];
}

/* w <= FOLD_WIDTH columns at once, down `rows` rows: acc[w]. */
static void COLS(const T *p, int64_t rows, int64_t row_step, int64_t w, int64_t col_step, T *acc) {
  if (rows > FOLD_ROWS) {
    T right[FOLD_WIDTH];
    const int64_t half = (rows / 2 + FOLD_ROWS - 1) / FOLD_ROWS * FOLD_ROWS;
    COLS(p, half, row_step, w, col_step, acc);
    COLS(p + half * row_step, rows - half, row_step, w, col_step, right);
    for (int64_t j = 0; j < w; j++) acc[j] = STEP_FN(acc[j], right[j]);
    return;
  }
  int64_t done = 0;
  if (col_step == 1)
    for (; done + FOLD_SIDE <= w; done += FOLD_SIDE) SIDE(p + done, rows, row_step, acc + done);
  for (int64_t j = done; j < w; j++) acc[j] = INIT;
  for (int64_t i = 0; i < rows && done < w; i++, p += row_step)
    for (int64_t j = done; j < w; j++) acc[j] = STEP_FN(acc[j], p[j * col_step]);
}

/* Reduced dims `level` and inwards, of which n steps of this one: acc[w]. */
static void LEVEL(const fold_shape *s, int level, const T *p, int64_t n, int64_t w, T *acc) {
  const int64_t step = s->reduced[level].step;
  if (level == s->n_reduced - 1) {
    if (s->columns)
      COLS(p, n, step, w, s->col.step, acc);
    else
      *acc = ROW(p, n, step);
  } else if (n > 1) {
    T right[FOLD_WIDTH];
    const int64_t half = n / 2;
    LEVEL(s, level, p, half, w, acc);
    LEVEL(s, level, p + half * step, n - half, w, right);
    for (int64_t j = 0; j < w; j++) acc[j] = STEP_FN(acc[j], right[j]);
  } else {
    LEVEL(s, level + 1, p, s->reduced[level + 1].n, w, acc);
  }
}

/* Items [from, to): an item is up to FOLD_WIDTH columns at one place of the other kept dims. */
static void ITEMS(const fold_shape *s, const T *p, T *q, int64_t from, int64_t to) {
  const int64_t chunks = (s->col.n + FOLD_WIDTH - 1) / FOLD_WIDTH;
  int64_t at[GP_MAX_RANK], chunk = from % chunks, rest = from / chunks;
  for (int d = s->n_kept - 1; d >= 0; d--) {
    at[d] = rest % s->kept[d].n;
    rest /= s->kept[d].n;
    p += at[d] * s->kept[d].step;
    q += at[d] * s->kept[d].out_step;
  }
  for (int64_t item = from; item < to; item++) {
    T acc[FOLD_WIDTH];
    const int64_t j = chunk * FOLD_WIDTH, w = min_i64(FOLD_WIDTH, s->col.n - j);
    LEVEL(s, 0, p + j * s->col.step, s->reduced[0].n, w, acc);
    for (int64_t i = 0; i < w; i++) q[(j + i) * s->col.out_step] = acc[i];
    if (++chunk < chunks) continue;
    chunk = 0;
    for (int d = s->n_kept - 1; d >= 0; d--) {
      p += s->kept[d].step;
      q += s->kept[d].out_step;
      if (++at[d] < s->kept[d].n) break;
      p -= at[d] * s->kept[d].step;
      q -= at[d] * s->kept[d].out_step;
      at[d] = 0;
    }
  }
}

/* The uppermost halves of a long row, as ROW makes them: its leaves are tasks. */
static void SPLIT(fold_leaf *leaf, int *n_leaves, int64_t start, int64_t n, int64_t block,
                  int depth) {
  if (n > block && depth) {
    const int64_t half = (n / 2 + block - 1) / block * block;
    SPLIT(leaf, n_leaves, start, half, block, depth - 1);
    SPLIT(leaf, n_leaves, start + half, n - half, block, depth - 1);
  } else {
    leaf[*n_leaves].start = start;
    leaf[(*n_leaves)++].n = n;
  }
}
static T JOIN(const T **value, int64_t n, int64_t block, int depth) {
  if (n <= block || !depth) return *(*value)++;
  const int64_t half = (n / 2 + block - 1) / block * block;
  const T left = JOIN(value, half, block, depth - 1);
  return STEP_FN(left, JOIN(value, n - half, block, depth - 1));
}

typedef struct {
  const fold_shape *s;
  const T *p;
  T *q;
  int64_t n_items, per_task;
  fold_leaf leaf[MAX_TASKS];
  T value[MAX_TASKS];
} JOB;

static void ITEMS_TASK(void *ctx, int64_t task) {
  const JOB *job = ctx;
  const int64_t from = task * job->per_task;
  ITEMS(job->s, job->p, job->q, from, min_i64(from + job->per_task, job->n_items));
}
static void LEAF_TASK(void *ctx, int64_t task) {
  JOB *job = ctx;
  const int64_t step = job->s->reduced[0].step;
  job->value[task] = ROW(job->p + job->leaf[task].start * step, job->leaf[task].n, step);
}

static void RUN(int threads, const fold_shape *s, const void *in, void *out) {
  if (s->empty) {
    for (int64_t i = 0; i < s->n_out; i++) ((T *)out)[i] = INIT;
    return;
  }
  int64_t items = (s->col.n + FOLD_WIDTH - 1) / FOLD_WIDTH;
  for (int d = 0; d < s->n_kept; d++) items *= s->kept[d].n;
  if (s->n_in < 8 * GP_PARALLEL) { /* a sum reads faster than other work computes */
    ITEMS(s, in, out, 0, items);
    return;
  }
  JOB job = {.s = s, .p = in, .q = out, .n_items = items};
  if (s->n_out == 1 && s->n_reduced == 1 && !s->columns) {
    const int64_t n = s->reduced[0].n, block = s->reduced[0].step == 1 ? FOLD_BLOCK : FOLD_ROWS;
    const T *value = job.value;
    int n_leaves = 0;
    SPLIT(job.leaf, &n_leaves, 0, n, block, FOLD_DEPTH);
    gp_parallel(threads, n_leaves, LEAF_TASK, &job);
    *job.q = JOIN(&value, n, block, FOLD_DEPTH);
  } else {
    job.per_task = (items + MAX_TASKS - 1) / MAX_TASKS;
    gp_parallel(threads, (items + job.per_task - 1) / job.per_task, ITEMS_TASK, &job);
  }
}

#undef ROW
#undef LANES_OF
#undef COLS
#undef SIDE
#undef LEVEL
#undef RUN
#undef ITEMS
#undef SPLIT
#undef JOIN
#undef JOB
#undef ITEMS_TASK
#undef LEAF_TASK
#undef STEP_FN
#undef FOLD
#undef T
#undef INIT
#undef STEP
