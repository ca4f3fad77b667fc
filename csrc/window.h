/* What windows do to each channel by itself, for one element type; included by window.c once for
 * each with T, SUFFIX, LOWEST, and FLOATS where there are the sums of products too. */
#define FN(name) PASTE(name, SUFFIX)
#ifdef FLOATS
#define IS_NAN(x) ((x) != (x))
#else
#define IS_NAN(x) false
#endif

/* ---- the largest ---- */

/* One place of the result: y[c], and where it was found, found[c]. */
static void FN(max_at)(const window_job *job, const T *x, const window_range *in, T *restrict y,
                       int64_t *restrict found) {
  const int64_t c = job->c;
  for (int64_t j = 0; j < c; j++) y[j] = LOWEST, found[j] = 0;
  EACH_TAP(job, in) {
    const T *p = x + TAP(job, in, x);
    const int64_t at = job->base + TAP(job, in, flat);
    const bool first = d == in[0].from && h == in[1].from && w == in[2].from;
    for (int64_t j = 0; j < c; j++) {
      const bool more = first || p[j] > y[j] || (IS_NAN(p[j]) && !IS_NAN(y[j]));
      y[j] = more ? p[j] : y[j];
      found[j] = more ? at + j : found[j];
    }
  }
}

/* The same with argmax stored, so many channels at a time. */
static void FN(argmax_at)(const window_job *job, int64_t n, int64_t place, const T *x,
                          const window_range *in, T *y) {
  int64_t found[FOUND];
  window_job some = *job;
  for (int64_t j = 0; j < job->c; j += FOUND) {
    some.c = min_i64(FOUND, job->c - j);
    some.base = j + (job->with_batch ? n * job->image : 0);
    FN(max_at)(&some, x + j, in, y + j, found);
    for (int64_t i = 0; i < some.c; i++) {
      if (job->narrow)
        ((int32_t *)job->found)[place * job->c + j + i] = (int32_t)found[i];
      else
        ((int64_t *)job->found)[place * job->c + j + i] = found[i];
    }
  }
}

#ifdef FLOATS

#define V FN(V)
#define VEC FN(vec)
#define LOAD(p) (n < V ? FN(load_part)(p, n) : FN(load)(p))
#define STORE(p, x)            \
  do {                         \
    if (n < V)                 \
      FN(store_part)(p, x, n); \
    else                       \
      FN(store)(p, x);         \
  } while (0)
typedef __typeof__((VEC){0} < (VEC){0}) FN(truth); /* all ones where it is true */
#define PICK(m, a, b) ((VEC)((m & (FN(truth))(a)) | (~m & (FN(truth))(b))))

static void FN(largest_at)(const window_job *job, const T *x, const window_range *in, T *to) {
  for (int64_t j = 0; j < job->c; j += V) {
    const int64_t n = job->c - j;
    VEC y = FN(splat)(LOWEST);
    EACH_TAP(job, in) {
      const VEC p = LOAD(x + j + TAP(job, in, x));
      const FN(truth) more = (p > y) | (p != p);
      y = PICK(more, p, y);
    }
    STORE(to + j, y);
  }
}

/* Images [from, to): dx gets each dy where the window's first largest element lies. */
static void FN(max_pool_grad_task)(void *ctx, int64_t task) {
  const window_job *job = ctx;
  const int64_t rows = job->out[1] * job->out[2], end = min_i64((task + 1) * job->per_task, job->n);
  for (int64_t image = task * job->per_task; image < end; image++) {
    T *dx = (T *)job->dx + image * job->image;
    const T *x = (const T *)job->x + image * job->xs[0];
    memset(dx, 0, (size_t)job->image * sizeof(T));
    for (int64_t at = image * rows * job->out[3], row = 0; row < rows; row++) {
      window_range in[3];
      int64_t same;
      const int64_t offset = window_row(job, image * rows + row, in, &same);
      for (int64_t o = 0; o < job->out[3]; o++, at++) {
        in[2] = window_along(job, 2, o);
        for (int64_t j = 0; j < job->c; j += V) {
          const int64_t n = job->c - j;
          const VEC y = LOAD((const T *)job->y + offset + o * job->ys[3] + j);
          VEC left = LOAD((const T *)job->dy + at * job->c + j); /* what has found no place yet */
          EACH_TAP(job, in) {
            const VEC p = LOAD(x + j + TAP(job, in, x));
            T *to = dx + j + TAP(job, in, flat);
            const FN(truth) here = (p == y) | ((p != p) & (y != y));
            STORE(to, LOAD(to) + PICK(here, left, (VEC){0}));
            left = PICK(here, (VEC){0}, left);
          }
        }
      }
    }
  }
}

/* The other way: from dx[n, D, H, W, c], without gaps, what lies where the largest is. */
static void FN(max_pool_grad_grad_task)(void *ctx, int64_t task) {
  const window_job *job = ctx;
  const int64_t end = min_i64((task + 1) * job->per_task, job->rows);
  for (int64_t row = task * job->per_task; row < end; row++) {
    window_range in[3];
    int64_t image;
    const int64_t offset = window_row(job, row, in, &image);
    const T *x = (const T *)job->x + image * job->xs[0];
    const T *g = (const T *)job->dy + image * job->image;
    T *out = (T *)job->dx + row * job->out[3] * job->c;
    for (int64_t o = 0; o < job->out[3]; o++, out += job->c) {
      in[2] = window_along(job, 2, o);
      for (int64_t j = 0; j < job->c; j += V) {
        const int64_t n = job->c - j;
        const VEC y = LOAD((const T *)job->y + offset + o * job->ys[3] + j);
        VEC sum = {0};
        FN(truth) open = (y == y) | (y != y); /* until it is found */
        EACH_TAP(job, in) {
          const VEC p = LOAD(x + j + TAP(job, in, x));
          const FN(truth) here = open & ((p == y) | ((p != p) & (y != y)));
          sum = PICK(here, LOAD(g + j + TAP(job, in, flat)), sum);
          open &= ~here;
        }
        STORE(out + j, sum);
      }
    }
  }
}

/* One window, whose taps along w are side by side, added to an image x. */
static void FN(window_add)(const window_job *job, const window_range *in, const T *y, T *x) {
  const int64_t c = job->c, w = in[2].from;
  const int64_t step = job->dilation[2] == 1 ? in[2].to - w : 1; /* taps that are one run in x */
  for (int64_t d = in[0].from; d < in[0].to; d++)
    for (int64_t h = in[1].from; h < in[1].to; h++) {
      const T *from = y + (d * job->taps[1] + h) * job->taps[2] * c;
      T *to = x + (in[0].start + d * job->dilation[0]) * job->flat[0] +
              (in[1].start + h * job->dilation[1]) * job->flat[1];
      for (int64_t v = w; v < in[2].to; v += step) {
        T *run = to + (in[2].start + v * job->dilation[2]) * c;
        for (int64_t j = 0; j < step * c; j += V) {
          const int64_t n = step * c - j;
          STORE(run + j, LOAD(run + j) + LOAD(from + v * c + j));
        }
      }
    }
}

/* Images [from, to) of x: the sum of the windows y. Of a row of windows first every so-manyth, that
 * do not overlap: or each would wait for what the one before it stores. */
static void FN(windows_add_task)(void *ctx, int64_t task) {
  const window_job *job = ctx;
  const int64_t end = min_i64((task + 1) * job->per_task, job->n);
  const int64_t rows = job->out[1] * job->out[2], along = job->out[3];
  const int64_t window = job->taps[0] * job->taps[1] * job->taps[2] * job->c;
  const int64_t apart = min_i64((job->taps[2] - 1) * job->dilation[2] / job->stride[2] + 1, along);
  for (int64_t image = task * job->per_task; image < end; image++) {
    T *x = (T *)job->dx + image * job->image;
    memset(x, 0, (size_t)job->image * sizeof(T));
    for (int64_t row = image * rows; row < (image + 1) * rows; row++) {
      const T *y = (const T *)job->y + row * along * window;
      window_range in[3];
      int64_t same;
      window_row(job, row, in, &same);
      for (int64_t first = 0; first < apart; first++)
        for (int64_t o = first; o < along; o += apart) {
          in[2] = window_along(job, 2, o);
          FN(window_add)(job, in, y + o * window, x);
        }
    }
  }
}

#undef V
#undef VEC
#undef LOAD
#undef STORE
#undef PICK
#endif

static void FN(max_pool_task)(void *ctx, int64_t task) {
  const window_job *job = ctx;
  const int64_t end = min_i64((task + 1) * job->per_task, job->rows);
  for (int64_t row = task * job->per_task; row < end; row++) {
    window_range in[3];
    int64_t n;
    T *y = (T *)job->y + window_row(job, row, in, &n);
    const T *x = (const T *)job->x + n * job->xs[0];
    for (int64_t o = 0; o < job->out[3]; o++, y += job->ys[3]) {
      in[2] = window_along(job, 2, o);
      if (job->found) {
        FN(argmax_at)(job, n, row * job->out[3] + o, x, in, y);
        continue;
      }
#ifdef FLOATS
      FN(largest_at)(job, x, in, y);
#else
      for (int64_t j = 0; j < job->c; j++) y[j] = LOWEST;
      EACH_TAP(job, in) {
        const T *p = x + TAP(job, in, x);
        for (int64_t j = 0; j < job->c; j++) y[j] = p[j] > y[j] ? p[j] : y[j];
      }
#endif
    }
  }
}

#ifdef FLOATS

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
