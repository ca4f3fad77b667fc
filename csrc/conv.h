/* Convolutions for one float type; included by conv.c once for each with T and SUFFIX. The blocks
 * are those of the products (small.h): rows are places of the result, side by side along one dim;
 * their factors lie `step` apart in x, and overlap. */
#define FN(name) PASTE(name, SUFFIX)
#define V FN(V)
#define COLUMNS (BLOCK_VECS * V)

/* The panels of k columns: as many as it takes, of as equal a width as may be. */
static int64_t FN(panel_vecs)(int64_t k) {
  const int64_t vecs = (k + V - 1) / V, panels = (vecs + BLOCK_VECS - 1) / BLOCK_VECS;
  return (vecs + panels - 1) / panels;
}

/* Rows [0, m) of one run, columns [j, j + w): x is at the first row's first element. */
static void FN(conv_rows)(const conv_job *job, const T *x, const T *f, const T *bias, T *y,
                          int64_t m, int64_t w) {
  const conv_dim *row = &job->dims[job->row];
  const int64_t vecs = (w + V - 1) / V, calls = job->taps[0] * job->taps[2];
  const bool part = w < vecs * V;
  FN(block_shape)
  s = {.k = job->depth,
       .ars = row->x,
       .acs = 1,
       .ldb = job->k,
       .ldc = row->y,
       .groups = job->taps[1],
       .a_skip = job->tap_x[1] - job->depth,
       .b_skip = job->tap_f[1] - job->depth * job->k,
       .last = w - (vecs - 1) * V};
  for (int64_t i = 0; i < m;) {
    const int64_t left = m - i, blocks = (left + BLOCK_ROWS - 1) / BLOCK_ROWS;
    const int64_t rows = (left + blocks - 1) / blocks;
    for (int64_t call = 0; call < calls; call++) {
      const int64_t d = call / job->taps[2], e = call % job->taps[2];
      s.more = call > 0;
      s.bias = call == calls - 1 ? bias : NULL;
      s.relu = call == calls - 1 && job->relu;
      FN(block_table)
      [part][vecs - 1][rows - 1](&s, x + i *row->x + d *job->tap_x[0] + e *job->tap_x[2],
                                 f + d *job->tap_f[0] + e *job->tap_f[2], y + i *row->y);
    }
    i += rows;
  }
}

static void FN(conv_task)(void *ctx, int64_t task) {
  const conv_job *job = ctx;
  const int64_t from = task * job->per_task, to = min_i64(from + job->per_task, job->runs);
  const int64_t width = FN(panel_vecs)(job->k) * V;
  for (int64_t i = from; i < to; i += job->near)
    for (int64_t j = 0; j < job->k; j += width)
      for (int64_t run = i; run < to && run < i + job->near; run++) {
        const int64_t piece = run % job->pieces * RUN_ROWS;
        const T *x = (const T *)job->x + piece * job->dims[job->row].x;
        T *y = (T *)job->y + piece * job->dims[job->row].y + j;
        for (int64_t q = job->n_dims - 1, rest = run / job->pieces; q >= 0; q--) {
          if (q == job->row) continue;
          const conv_dim *dim = &job->dims[q];
          x += rest % dim->n * dim->x;
          y += rest % dim->n * dim->y;
          rest /= dim->n;
        }
        FN(conv_rows)(job, x, (const T *)job->f + j, job->bias ? (const T *)job->bias + j : NULL, y,
                      min_i64(RUN_ROWS, job->dims[job->row].n - piece), min_i64(width, job->k - j));
      }
}

/* ---- the gradient of the filter: rows are elements of the filter's taps, columns those of dy ----
 */

static void FN(conv_filter_task)(void *ctx, int64_t task) {
  const filter_job *job = ctx;
  const int64_t width = FN(panel_vecs)(job->k) * V, panels = (job->k + width - 1) / width;
  const int64_t blocks = (job->depth + BLOCK_ROWS - 1) / BLOCK_ROWS;
  const int64_t high = (job->depth + blocks - 1) / blocks; /* rows of a block */
  const int64_t taps = job->taps[0] * job->taps[1] * job->taps[2];
  const int64_t per_part = taps * blocks * panels, units = per_part * job->parts;
  const int64_t per_task = (units + job->tasks - 1) / job->tasks;
  int64_t from = task * per_task;
  const int64_t end = min_i64(from + per_task, units);
  while (from < end) {
    const int64_t part = from / per_part, to = min_i64(end, (part + 1) * per_part);
    const int64_t n0 = part * job->n / job->parts, n1 = (part + 1) * job->n / job->parts;
    bool more = false;
    for (int64_t n = n0; n < n1; n++)
      for (int64_t d = 0; d < job->out[0]; d++)
        for (int64_t h = 0; h < job->out[1]; h += job->lines, more = true) {
          const T *x = (const T *)job->x + n * job->xs[0] + d * job->step[0] + h * job->step[1];
          const T *dy = (const T *)job->dy + n * job->ys[0] + d * job->ys[1] + h * job->ys[2];
          FN(block_shape)
          s = {.k = job->out[2],
               .ars = 1,
               .acs = job->step[2],
               .ldb = job->ys[3],
               .ldc = job->k,
               .groups = min_i64(job->lines, job->out[1] - h),
               .a_skip = job->step[1] - job->out[2] * job->step[2],
               .b_skip = job->ys[2] - job->out[2] * job->ys[3],
               .more = more};
          for (int64_t unit = from; unit < to; unit++) {
            int64_t rest = unit - part * per_part;
            const int64_t j = rest % panels * width, w = min_i64(width, job->k - j);
            rest /= panels;
            const int64_t i = rest % blocks * high, rows = min_i64(high, job->depth - i);
            int64_t tap = rest /= blocks;
            const T *at = x + i;
            for (int q = 2; q >= 0; tap /= job->taps[q--]) at += tap % job->taps[q] * job->tap_x[q];
            const int64_t vecs = (w + V - 1) / V;
            if (rows <= 0) continue; /* blocks of equal size may be fewer */
            s.last = w - (vecs - 1) * V;
            FN(block_table)
            [w < vecs * V][vecs - 1][rows - 1](&s, at, dy + j,
                                               (T *)job->df +
                                                   ((part *taps + rest) *job->depth + i) *job->k +
                                                   j);
          }
        }
    from = to;
  }
}

#undef FN
#undef V
#undef COLUMNS
#undef T
#undef SUFFIX
