/* What windows do to each channel by itself, for one element type; included by window.c once for
 * each with T, SUFFIX, LOWEST, and FLOATS where there are the sums of products too. */
#define FN(name) PASTE(name, SUFFIX)
#ifdef FLOATS
#define IS_NAN(x) ((x) != (x))
#else
#define IS_NAN(x) false
#endif

/* ---- the largest ---- */

/* One place of the result: y[c], and where it was found. */
static void FN(max_at)(const window_job *job, const T *x, const window_range *in, T *restrict y,
                       int64_t *restrict found) {
  const int64_t c = job->c;
  for (int64_t j = 0; j < c; j++) y[j] = LOWEST;
  if (found)
    for (int64_t j = 0; j < c; j++) found[j] = 0;
  EACH_TAP(job, in) {
    const T *p = x + TAP(job, in, x);
    if (!found) {
      for (int64_t j = 0; j < c; j++) y[j] = p[j] > y[j] || IS_NAN(p[j]) ? p[j] : y[j];
      continue;
    }
    const int64_t at = job->base + TAP(job, in, flat);
    const bool first = d == in[0].from && h == in[1].from && w == in[2].from;
    for (int64_t j = 0; j < c; j++) {
      const bool more = first || p[j] > y[j] || (IS_NAN(p[j]) && !IS_NAN(y[j]));
      y[j] = more ? p[j] : y[j];
      found[j] = more ? at + j : found[j];
    }
  }
}

static void FN(max_pool_task)(void *ctx, int64_t task) {
  const window_job *job = ctx;
  int64_t found[FOUND];
  const int64_t end = min_i64((task + 1) * job->per_task, job->places);
  for (int64_t at = task * job->per_task; at < end; at++) {
    window_range in[3];
    int64_t n;
    const int64_t offset = window_at(job, at, in, &n);
    const T *x = (const T *)job->x + n * job->xs[0];
    T *y = (T *)job->y + offset;
    if (!job->found) {
      FN(max_at)(job, x, in, y, NULL);
      continue;
    }
    window_job some = *job;
    for (int64_t j = 0; j < job->c; j += FOUND) { /* so many channels at a time */
      some.c = min_i64(FOUND, job->c - j);
      some.base = j + (job->with_batch ? n * job->image : 0);
      FN(max_at)(&some, x + j, in, y + j, found);
      for (int64_t i = 0; i < some.c; i++) {
        if (job->narrow)
          ((int32_t *)job->found)[at * job->c + j + i] = (int32_t)found[i];
        else
          ((int64_t *)job->found)[at * job->c + j + i] = found[i];
      }
    }
  }
}

#ifdef FLOATS

/* Images [from, to): dx gets each dy where the window's first largest element lies. */
static void FN(max_pool_grad_task)(void *ctx, int64_t task) {
  const window_job *job = ctx;
  T left[FOUND]; /* of dy what has found no place yet */
  const int64_t image = job->places / job->n;
  const int64_t end = min_i64((task + 1) * job->per_task, job->n);
  for (int64_t n = task * job->per_task; n < end; n++) {
    T *dx = (T *)job->dx + n * job->image;
    memset(dx, 0, (size_t)job->image * sizeof(T));
    for (int64_t at = n * image; at < (n + 1) * image; at++) {
      window_range in[3];
      int64_t same;
      const int64_t offset = window_at(job, at, in, &same);
      const T *x = (const T *)job->x + n * job->xs[0];
      for (int64_t j = 0; j < job->c; j += FOUND) {
        const int64_t c = min_i64(FOUND, job->c - j);
        const T *y = (const T *)job->y + offset + j, *dy = (const T *)job->dy + at * job->c + j;
        for (int64_t i = 0; i < c; i++) left[i] = dy[i];
        EACH_TAP(job, in) {
          const T *p = x + j + TAP(job, in, x);
          T *to = dx + j + TAP(job, in, flat);
          for (int64_t i = 0; i < c; i++) {
            const bool here = p[i] == y[i] || (IS_NAN(p[i]) && IS_NAN(y[i]));
            to[i] += here ? left[i] : 0;
            left[i] = here ? 0 : left[i];
          }
        }
      }
    }
  }
}

/* The other way: from dx[n, D, H, W, c], contiguous, what lies where the largest is. */
static void FN(max_pool_grad_grad_task)(void *ctx, int64_t task) {
  const window_job *job = ctx;
  T open[FOUND]; /* 1 until the largest is found */
  const int64_t end = min_i64((task + 1) * job->per_task, job->places);
  for (int64_t at = task * job->per_task; at < end; at++) {
    window_range in[3];
    int64_t n;
    const int64_t offset = window_at(job, at, in, &n);
    const T *x = (const T *)job->x + n * job->xs[0], *g = (const T *)job->dy + n * job->image;
    for (int64_t j = 0; j < job->c; j += FOUND) {
      const int64_t c = min_i64(FOUND, job->c - j);
      const T *y = (const T *)job->y + offset + j;
      T *out = (T *)job->dx + at * job->c + j;
      for (int64_t i = 0; i < c; i++) open[i] = 1, out[i] = 0;
      EACH_TAP(job, in) {
        const T *p = x + j + TAP(job, in, x), *from = g + j + TAP(job, in, flat);
        for (int64_t i = 0; i < c; i++) {
          const bool here = open[i] != 0 && (p[i] == y[i] || (IS_NAN(p[i]) && IS_NAN(y[i])));
          out[i] = here ? from[i] : out[i];
          open[i] = here ? 0 : open[i];
        }
      }
    }
  }
}

/* ---- sums ---- */

/* y[SIDE], from p on: over all taps x f, or x where there is no f. */
static inline __attribute__((always_inline)) void FN(taps_sum)(const window_job *job, const T *x,
                                                               const T *f, const int64_t c, T *y) {
  T acc[SIDE];
  for (int64_t j = 0; j < c; j++) acc[j] = 0;
  for (int64_t d = 0; d < job->taps[0]; d++)
    for (int64_t h = 0; h < job->taps[1]; h++) {
      const T *p = x + d * job->tap_x[0] + h * job->tap_x[1];
      const T *q = f ? f + d * job->tap_f[0] + h * job->tap_f[1] : NULL;
      for (int64_t w = 0; w < job->taps[2]; w++, p += job->tap_x[2]) {
        if (q) {
          for (int64_t j = 0; j < c; j++) acc[j] += p[j] * q[j];
          q += job->tap_f[2];
        } else {
          for (int64_t j = 0; j < c; j++) acc[j] += p[j];
        }
      }
    }
  for (int64_t j = 0; j < c; j++) y[j] = acc[j];
}

static void FN(depthwise_task)(void *ctx, int64_t task) {
  const window_job *job = ctx;
  const int64_t end = min_i64((task + 1) * job->per_task, job->places);
  for (int64_t at = task * job->per_task; at < end; at++) {
    int64_t rest = at, offset = 0;
    const T *x = job->x, *f = job->f;
    for (int i = 3; i >= 0; rest /= job->out[i--]) {
      x += rest % job->out[i] * job->step[i];
      offset += rest % job->out[i] * job->ys[i];
    }
    T *y = (T *)job->y + offset;
    int64_t j = 0;
    for (; j + SIDE <= job->c; j += SIDE) FN(taps_sum)(job, x + j, f ? f + j : NULL, SIDE, y + j);
    if (j < job->c) FN(taps_sum)(job, x + j, f ? f + j : NULL, job->c - j, y + j);
  }
}

/* Taps [from, to) of df[taps, c]: for each the sum over all places of x dy, a line at a time. */
static void FN(depthwise_filter_task)(void *ctx, int64_t task) {
  const window_job *job = ctx;
  const int64_t all = job->taps[0] * job->taps[1] * job->taps[2];
  const int64_t lines = job->out[0] * job->out[1] * job->out[2];
  for (int64_t t = task * job->per_task; t < min_i64((task + 1) * job->per_task, all); t++) {
    const int64_t shift = t / job->taps[2] / job->taps[1] * job->tap_x[0] +
                          t / job->taps[2] % job->taps[1] * job->tap_x[1] +
                          t % job->taps[2] * job->tap_x[2];
    T *df = (T *)job->dx + t * job->c;
    for (int64_t j = 0; j < job->c; j++) df[j] = 0;
    for (int64_t line = 0; line < lines; line++) {
      const int64_t n = line / job->out[2] / job->out[1], d = line / job->out[2] % job->out[1];
      const int64_t h = line % job->out[2];
      const T *x =
          (const T *)job->x + shift + n * job->step[0] + d * job->step[1] + h * job->step[2];
      const T *dy = (const T *)job->dy + n * job->ys[0] + d * job->ys[1] + h * job->ys[2];
      for (int64_t j = 0; j < job->c; j += SIDE) {
        T acc[SIDE];
        const int64_t c = min_i64(SIDE, job->c - j);
        for (int64_t i = 0; i < SIDE; i++) acc[i] = 0;
        for (int64_t w = 0; w < job->out[3]; w++) {
          const T *p = x + j + w * job->step[3], *q = dy + j + w * job->ys[3];
          if (c == SIDE)
            for (int64_t i = 0; i < SIDE; i++) acc[i] += p[i] * q[i];
          else
            for (int64_t i = 0; i < c; i++) acc[i] += p[i] * q[i];
        }
        for (int64_t i = 0; i < c; i++) df[j + i] += acc[i];
      }
    }
  }
}

#endif
#undef FN
#undef IS_NAN
#undef T
#undef SUFFIX
#undef LOWEST
#undef FLOATS
