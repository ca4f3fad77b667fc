/* The softmax family for one float type; included by rows.c once for each with T and SUFFIX. */
#define FN(name) PASTE(name, SUFFIX)
#define ROW(op) PASTE(PASTE(row, op), SUFFIX) /* reduce.c's fold of one row */

/* The same as row_stats for short rows: side by side in the lanes of vectors instead of one after
 * the other, three times faster for rows of 10. */
static void FN(short_row_stats)(const T *x, int64_t rows, int64_t n, T *tmp, T *max, T *sum) {
  T turned[PANEL]; /* [n, rows] */
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++) turned[j * rows + r] = x[r * n + j];
  for (int64_t r = 0; r < rows; r++) max[r] = -INFINITY, sum[r] = 0;
  for (int64_t j = 0; j < n; j++)
    for (int64_t r = 0; r < rows; r++) max[r] = FN(step_max)(max[r], turned[j * rows + r]);
  for (int64_t j = 0; j < n; j++)
    for (int64_t r = 0; r < rows; r++) {
      const T e = FN(exp)(turned[j * rows + r] - max[r]);
      turned[j * rows + r] = e;
      sum[r] += e;
    }
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++) tmp[r * n + j] = turned[j * rows + r];
}

/* What the family needs of each of `rows` rows of n: its maximum, the sum of exp(x - maximum), and
 * in tmp[rows, n] those exponentials, if a row fits (else it is taken in pieces and they are lost).
 */
static void FN(row_stats)(const T *x, int64_t rows, int64_t n, T *tmp, T *max, T *sum) {
  if (n <= SHORT_ROW) {
    FN(short_row_stats)(x, rows, n, tmp, max, sum);
    return;
  }
  if (n > PANEL) {
    *max = ROW(max)(x, n, 1);
    *sum = 0;
    for (int64_t j = 0; j < n; j += PANEL) {
      const int64_t w = min_i64(PANEL, n - j);
      for (int64_t i = 0; i < w; i++) tmp[i] = FN(exp)(x[j + i] - *max);
      *sum += ROW(sum)(tmp, w, 1);
    }
    return;
  }
  for (int64_t r = 0; r < rows; r++) {
    max[r] = ROW(max)(x + r * n, n, 1);
    for (int64_t j = 0; j < n; j++) tmp[r * n + j] = x[r * n + j] - max[r];
  }
  for (int64_t i = 0; i < rows * n; i++) tmp[i] = FN(exp)(tmp[i]); /* short rows in one loop */
  for (int64_t r = 0; r < rows; r++) sum[r] = ROW(sum)(tmp + r * n, n, 1);
}

static inline void FN(logs)(int64_t rows, const T *sum, T *log_sum) {
  for (int64_t r = 0; r < rows; r++) log_sum[r] = FN(log)(sum[r]);
}

/* y[j] = softmax of the row x; y may be x. */
static inline void FN(row_softmax)(const T *x, int64_t n, const T *tmp, T max, T sum, T *y) {
  const T scale = 1 / sum;
  if (n > PANEL) {
#pragma GCC ivdep
    for (int64_t j = 0; j < n; j++) y[j] = FN(exp)(x[j] - max) * scale;
  } else {
#pragma GCC ivdep
    for (int64_t j = 0; j < n; j++) y[j] = tmp[j] * scale;
  }
}

/* The functions from here on take rows as rows_job (rows.c) hands them out; -1: all is well. */

static int64_t FN(softmax)(const rows_job *job, const void *in, const void *labels, int64_t m,
                           void *out, void *none) {
  const T *x = in;
  const int64_t n = job->n;
  T *y = out;
  (void)labels, (void)none;
  T tmp[PANEL], max[PANEL], sum[PANEL];
  const int64_t step = n > PANEL ? 1 : PANEL / n;
  for (int64_t i = 0; i < m; i += step) {
    const int64_t rows = min_i64(step, m - i);
    FN(row_stats)(x + i * n, rows, n, tmp, max, sum);
    for (int64_t r = 0; r < rows; r++)
      FN(row_softmax)(x + (i + r) * n, n, tmp + r * n, max[r], sum[r], y + (i + r) * n);
  }
  return -1;
}

static int64_t FN(log_softmax)(const rows_job *job, const void *in, const void *labels, int64_t m,
                               void *out, void *none) {
  const T *x = in;
  const int64_t n = job->n;
  T *y = out;
  (void)labels, (void)none;
  T tmp[PANEL], max[PANEL], sum[PANEL], log_sums[PANEL];
  const int64_t step = n > PANEL ? 1 : PANEL / n;
  for (int64_t i = 0; i < m; i += step) {
    const int64_t rows = min_i64(step, m - i);
    FN(row_stats)(x + i * n, rows, n, tmp, max, sum);
    FN(logs)(rows, sum, log_sums);
    for (int64_t r = 0; r < rows; r++) {
      const T log_sum = log_sums[r], *row = x + (i + r) * n;
      T *to = y + (i + r) * n;
#pragma GCC ivdep
      for (int64_t j = 0; j < n; j++) to[j] = row[j] - max[r] - log_sum;
    }
  }
  return -1;
}

/* loss[m] and backprop[m, n] (NULL if not wanted); the latter may lie where x or labels do. */
static int64_t FN(xent)(const rows_job *job, const void *in, const void *targets, int64_t m,
                        void *losses, void *gradient) {
  const T *x = in, *labels = targets;
  const int64_t n = job->n;
  T *loss = losses, *backprop = gradient;
  T tmp[PANEL], max[PANEL], sum[PANEL], log_sums[PANEL], terms[PANEL];
  const int64_t step = n > PANEL ? 1 : PANEL / n;
  for (int64_t i = 0; i < m; i += step) {
    const int64_t rows = min_i64(step, m - i);
    FN(row_stats)(x + i * n, rows, n, tmp, max, sum);
    if (loss) FN(logs)(rows, sum, log_sums);
    for (int64_t r = 0; r < rows; r++) {
      const T *row = x + (i + r) * n, *label = labels + (i + r) * n;
      const T log_sum = log_sums[r], scale = 1 / sum[r];
      if (loss) {
        T total = 0;
        for (int64_t j = 0; j < n; j += PANEL) {
          const int64_t w = min_i64(PANEL, n - j);
          for (int64_t c = 0; c < w; c++)
            terms[c] = label[j + c] * (log_sum - (row[j + c] - max[r]));
          total += ROW(sum)(terms, w, 1);
        }
        loss[i + r] = total;
      }
      if (!backprop) continue;
      T *to = backprop + (i + r) * n;
      if (n > PANEL) {
#pragma GCC ivdep
        for (int64_t j = 0; j < n; j++) to[j] = FN(exp)(row[j] - max[r]) * scale - label[j];
      } else {
#pragma GCC ivdep
        for (int64_t j = 0; j < n; j++) to[j] = tmp[r * n + j] * scale - label[j];
      }
    }
  }
  return -1;
}

/* The same with labels[m] as class numbers. They have been looked at; again when used, since a feed
 * is the caller's memory and could change in between. Returns the row of a label outside [0, n). */
static int64_t FN(sparse_xent)(const rows_job *job, const void *in, const void *labels, int64_t m,
                               void *losses, void *gradient) {
  const T *x = in;
  const int64_t n = job->n;
  T *loss = losses, *backprop = gradient;
  T tmp[PANEL], max[PANEL], sum[PANEL], log_sums[PANEL];
  const int64_t step = n > PANEL ? 1 : PANEL / n;
  for (int64_t i = 0; i < m; i += step) {
    const int64_t rows = min_i64(step, m - i);
    FN(row_stats)(x + i * n, rows, n, tmp, max, sum);
    if (loss) FN(logs)(rows, sum, log_sums);
    for (int64_t r = 0; r < rows; r++) {
      const T *row = x + (i + r) * n;
      const int64_t label = label_at(labels, job->wide, i + r);
      if ((uint64_t)label >= (uint64_t)n) return i + r;
      if (loss) loss[i + r] = log_sums[r] - (row[label] - max[r]);
      if (!backprop) continue;
      T *to = backprop + (i + r) * n;
      FN(row_softmax)(row, n, tmp + r * n, max[r], sum[r], to);
      to[label] -= 1;
    }
  }
  return -1;
}

#undef FN
#undef ROW
#undef T
#undef SUFFIX
