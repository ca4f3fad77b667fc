/* Our own products for one float type; included by gemm.c once for each with T and SUFFIX.
 *
 * A block of c stays in registers while k is walked: rows x vectors of accumulators. An element of
 * a is broadcast, so its strides do not matter; b is read in vectors along its rows, and copied
 * first if its columns are what is contiguous. Large products are done in slices of k, with copies
 * of both factors that fit the caches. A vector times a matrix, or a product with so few
 * columns that a vector would be mostly empty, goes other ways. The order of every sum depends on
 * m, n, k and the strides alone.
 */
#define FN(name) PASTE(name, SUFFIX)
#define V FN(V)
#define LANES FN(LANES)
#define VEC FN(vec)
#define COLUMNS (BLOCK_VECS * V) /* of a block */
#define A(p) ((const T *)(p)->a)
#define B(p) ((const T *)(p)->b)
#define C(p) ((T *)(p)->c)

/* ---- blocks ---- */

typedef struct {
  int64_t k, ars, acs, ldb, ldc, ldg;
  int64_t groups;         /* as many times k, if there is more than one: convolutions have them */
  int64_t a_skip, b_skip; /* from the end of one to the beginning of the next */
  int64_t last;         /* lanes of the last vector that are in the matrix, where `part` is said */
  const T *bias, *gate; /* at the block, or NULL */
  bool relu, more;      /* more: c holds the sum so far */
} FN(block_shape);

/* What is done to a vector of c before it is stored. */
static inline __attribute__((always_inline)) VEC FN(end)(VEC x, const T *bias, bool relu,
                                                         const T *gate, bool part, int64_t n) {
  if (bias) x += part ? FN(load_part)(bias, n) : FN(load)(bias);
  if (relu) x = FN(relu)(x);
  if (gate) x = FN(gate)(x, part ? FN(load_part)(gate, n) : FN(load)(gate));
  return x;
}

/* bias, relu and gate where c was written without them */
static void FN(finish)(const product *p) {
  const T *bias = p->bias, *gate = p->gate;
  T *c = C(p);
  if (!bias && !gate && !p->relu) return;
  if (p->n == 1) { /* a vector of which one lane counts would wait for what wrote that lane */
    for (int64_t i = 0; i < p->m; i++) {
      T x = c[i * p->ldc];
      if (bias) x += *bias;
      if (p->relu) x = x < 0 ? 0 : x;
      if (gate) x = gate[i * p->ldg] > 0 ? x : 0;
      c[i * p->ldc] = x;
    }
    return;
  }
  for (int64_t i = 0; i < p->m; i++, c += p->ldc, gate += gate ? p->ldg : 0) {
    int64_t j = 0;
    for (; j + V <= p->n; j += V)
      FN(store)(c + j, FN(end)(FN(load)(c + j), bias ? bias + j : NULL, p->relu,
                               gate ? gate + j : NULL, false, V));
    if (j < p->n)
      FN(store_part)(c + j,
                     FN(end)(FN(load_part)(c + j, p->n - j), bias ? bias + j : NULL, p->relu,
                             gate ? gate + j : NULL, true, p->n - j),
                     p->n - j);
  }
}

static inline __attribute__((always_inline)) void FN(block)(const FN(block_shape) * s,
                                                            const int rows, const int vecs,
                                                            const bool part, const T *a, const T *b,
                                                            T *c) {
  VEC acc[BLOCK_ROWS][BLOCK_VECS];
#pragma GCC unroll 12
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
    for (int v = 0; v < vecs; v++) acc[i][v] = (VEC){0};
  const int64_t k = s->k, ars = s->ars, acs = s->acs, ldb = s->ldb, last = s->last;
  const T *a4 = a + 4 * ars, *a8 = a + 8 * ars; /* or an offset for each row takes a register */
  for (int64_t group = s->groups;;) {
    for (int64_t l = 0; l < k; l++, a += acs, a4 += acs, a8 += acs, b += ldb) {
      VEC y[BLOCK_VECS];
      __asm__("" : "+r"(a), "+r"(a4), "+r"(a8)); /* keeps the compiler from deriving them anew */
#pragma GCC unroll 2
      for (int v = 0; v < vecs; v++)
        y[v] = part && v == vecs - 1 ? FN(load_part)(b + v * V, last) : FN(load)(b + v * V);
#pragma GCC unroll 12
      for (int i = 0; i < rows; i++) {
        const VEC x = FN(splat)((i < 4 ? a : i < 8 ? a4 : a8)[i % 4 * ars]);
#pragma GCC unroll 2
        for (int v = 0; v < vecs; v++) acc[i][v] = FN(fma)(x, y[v], acc[i][v]);
      }
    }
    if (--group <= 0) break;
    a += s->a_skip, a4 += s->a_skip, a8 += s->a_skip, b += s->b_skip;
  }
  if (s->more) {
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
      for (int v = 0; v < vecs; v++) {
        const T *sum = c + i * s->ldc + v * V;
        acc[i][v] += part && v == vecs - 1 ? FN(load_part)(sum, last) : FN(load)(sum);
      }
  }
  if (s->bias || s->relu || s->gate) {
    const T *gate = s->gate;
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
      for (int v = 0; v < vecs; v++)
        acc[i][v] = FN(end)(acc[i][v], s->bias ? s->bias + v * V : NULL, s->relu,
                            gate ? gate + i * s->ldg + v * V : NULL, part && v == vecs - 1, last);
  }
#pragma GCC unroll 12
  for (int i = 0; i < rows; i++, c += s->ldc)
#pragma GCC unroll 2
    for (int v = 0; v < vecs; v++) {
      if (part && v == vecs - 1)
        FN(store_part)(c + v * V, acc[i][v], last);
      else
        FN(store)(c + v * V, acc[i][v]);
    }
}

/* clang-format off */
#define BLOCK(rows, vecs, part)                                             \
  static void PASTE(PASTE(PASTE(block, rows), vecs), PASTE(part, SUFFIX))(  \
      const FN(block_shape) *s, const T *a, const T *b, T *c) {             \
    FN(block)(s, rows, vecs, part, a, b, c);                                \
  }
#define BLOCK_NAME(rows, vecs, part) PASTE(PASTE(PASTE(block, rows), vecs), PASTE(part, SUFFIX)),
EACH_ROWS(BLOCK, 1, 0)
EACH_ROWS(BLOCK, 2, 0)
EACH_ROWS(BLOCK, 1, 1)
EACH_ROWS(BLOCK, 2, 1)
static void (*const FN(block_table)[2][BLOCK_VECS][BLOCK_ROWS])(const FN(block_shape) *, const T *,
                                                                const T *, T *) = {
    {{EACH_ROWS(BLOCK_NAME, 1, 0)}, {EACH_ROWS(BLOCK_NAME, 2, 0)}},
    {{EACH_ROWS(BLOCK_NAME, 1, 1)}, {EACH_ROWS(BLOCK_NAME, 2, 1)}}};
#undef BLOCK
#undef BLOCK_NAME
/* clang-format on */

/* to[l * COLUMNS + j] = b[l + j step]: a panel of w columns of b, which are contiguous. V columns
 * at a time, a square of LANES x LANES in every 16 bytes of LANES vectors. */
static void FN(pack)(const T *b, int64_t step, int64_t k, int64_t w, T *to) {
  int64_t j = 0;
  for (; j + V <= w; j += V, b += V * step) {
    int64_t l = 0;
    for (; l + LANES <= k; l += LANES) {
      VEC x[LANES];
#pragma GCC unroll 4
      for (int i = 0; i < LANES; i++) x[i] = FN(parts)(b + l + i * step, LANES * step);
      FN(transpose)(x);
#pragma GCC unroll 4
      for (int i = 0; i < LANES; i++) FN(store)(to + (l + i) * COLUMNS + j, x[i]);
    }
    for (; l < k; l++)
      for (int64_t i = 0; i < V; i++) to[l * COLUMNS + j + i] = b[l + i * step];
  }
  for (; j + LANES <= w; j += LANES, b += LANES * step) {
    int64_t l = 0;
    for (; l + LANES <= k; l += LANES) FN(turn)(b + l, step, to + l * COLUMNS + j, COLUMNS);
    for (; l < k; l++)
      for (int64_t i = 0; i < LANES; i++) to[l * COLUMNS + j + i] = b[l + i * step];
  }
  for (; j < w; j++, b += step)
    for (int64_t l = 0; l < k; l++) to[l * COLUMNS + j] = b[l];
}

/* The same of a b whose rows are contiguous. */
static void FN(pack_rows)(const T *b, int64_t step, int64_t k, int64_t w, T *to) {
  if (w == COLUMNS) /* a size that the compiler knows */
    for (int64_t l = 0; l < k; l++, b += step, to += COLUMNS) memcpy(to, b, COLUMNS * sizeof(T));
  else
    for (int64_t l = 0; l < k; l++, b += step, to += COLUMNS) memcpy(to, b, (size_t)w * sizeof(T));
}

/* Panels of columns, and in them blocks of rows, of as equal a size as may be. */
static inline __attribute__((always_inline)) void FN(blocked)(const product *p, T *packed) {
  const bool packs = packed != NULL;
  FN(block_shape)
  s = {.k = p->k,
       .ars = p->ars,
       .acs = p->acs,
       .ldb = packs ? COLUMNS : p->brs,
       .ldc = p->ldc,
       .ldg = p->ldg,
       .last = p->n - (p->n - 1) / V * V,
       .relu = p->relu,
       .more = p->more};
  int64_t vecs = (p->n + V - 1) / V;
  for (int64_t j = 0; j < p->n;) {
    const int64_t panels = (vecs + BLOCK_VECS - 1) / BLOCK_VECS,
                  width = (vecs + panels - 1) / panels;
    const int64_t w = min_i64(width * V, p->n - j);
    const T *from = B(p) + j * p->bcs, *b = packs ? packed : from;
    const bool part = w < width * V;
    if (packs) FN(pack)(from, p->bcs, p->k, w, packed);
    for (int64_t i = 0; i < p->m;) {
      const int64_t left = p->m - i, blocks = (left + BLOCK_ROWS - 1) / BLOCK_ROWS;
      const int64_t rows = (left + blocks - 1) / blocks;
      if (p->bias) s.bias = (const T *)p->bias + j;
      if (p->gate) s.gate = (const T *)p->gate + i * p->ldg + j;
      FN(block_table)[part][width - 1][rows - 1](&s, A(p) + i * p->ars, b, C(p) + i * p->ldc + j);
      i += rows;
    }
    j += width * V;
    vecs -= width;
  }
}

static void FN(blocked_in_place)(const product *p) { FN(blocked)(p, NULL); }

static void FN(blocked_packed)(const product *p) {
  _Alignas(64) T packed[SMALL_DEPTH * COLUMNS];
  FN(blocked)(p, packed);
}

/* to[l * rows + i] = a[i ars + l acs]: what a block multiplies with, in the order it does. */
static void FN(pack_block)(const T *a, int64_t ars, int64_t acs, int64_t rows, int64_t k, T *to) {
  if (ars == 1) {
    const size_t size = (size_t)rows * sizeof(T);
    if (rows == BLOCK_ROWS) /* a size that the compiler knows */
      for (int64_t l = 0; l < k; l++)
        memcpy(to + l * BLOCK_ROWS, a + l * acs, BLOCK_ROWS * sizeof(T));
    else
      for (int64_t l = 0; l < k; l++) memcpy(to + l * rows, a + l * acs, size);
    return;
  }
  int64_t i = 0;
  for (; acs == 1 && i + LANES <= rows; i += LANES, a += LANES * ars) {
    int64_t l = 0;
    for (; l + LANES <= k; l += LANES) FN(turn)(a + l, ars, to + l * rows + i, rows);
    for (; l < k; l++)
      for (int64_t j = 0; j < LANES; j++) to[l * rows + i + j] = a[l + j * ars];
  }
  for (; i < rows; i++, a += ars)
    for (int64_t l = 0; l < k; l++) to[l * rows + i] = a[l * acs];
}

/* c[m, n] (+)= a b for a slice of k: `left` is packed by blocks of rows, `right` by panels. The
 * shape of a block is changed where it lies: to copy it would wait for the stores of the block
 * before. */
static void FN(slice)(FN(block_shape) * s, int64_t m, int64_t n, const T *left, const T *right,
                      T *c) {
  const T *bias = s->bias, *gate = s->gate;
  for (int64_t j = 0; j < n; j += COLUMNS)
    for (int64_t i = 0; i < m; i += BLOCK_ROWS) {
      const int64_t rows = min_i64(BLOCK_ROWS, m - i), w = min_i64(COLUMNS, n - j);
      const int64_t vecs = (w + V - 1) / V;
      const bool part = w < vecs * V;
      s->acs = rows;
      s->last = w - (vecs - 1) * V;
      s->bias = bias ? bias + j : NULL;
      s->gate = gate ? gate + i * s->ldg + j : NULL;
      T *at = c + i * s->ldc + j;
      for (int64_t r = 0; r < rows; r++) /* or the block waits for them in the end */
        for (int64_t v = 0; v < vecs; v++) __builtin_prefetch(at + r * s->ldc + v * V, 1);
      FN(block_table)[part][vecs - 1][rows - 1](s, left + i * s->k, right + j * s->k, at);
    }
}

/* Slices of k: a part of a, copied to stay in the L2, times panels of b, copied to stay in the L1.
 * (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008.) */
static void FN(blocked_deep)(const product *p) {
  const int64_t most = SLICE_BYTES / (int64_t)sizeof(T);
  const int64_t slice = piece_of(p->k, 1, (p->k + most - 1) / most);
  const int64_t height = piece_of(p->m, BLOCK_ROWS, (p->m + DEEP_ROWS - 1) / DEEP_ROWS);
  T *left = gp_scratch();
  if (!left) { /* no memory */
    FN(blas)(p);
    FN(finish)(p);
    return;
  }
  T *right = left + DEEP_ROWS * most;
  for (int64_t j = 0; j < p->n; j += DEEP_COLUMNS)
    for (int64_t l = 0; l < p->k; l += slice) {
      const int64_t n = min_i64(DEEP_COLUMNS, p->n - j), k = min_i64(slice, p->k - l);
      const T *a = A(p) + l * p->acs, *b = B(p) + l * p->brs + j * p->bcs;
      const bool ends = l + k == p->k;
      for (int64_t q = 0; q < n; q += COLUMNS) {
        const int64_t w = min_i64(COLUMNS, n - q);
        if (p->bcs == 1)
          FN(pack_rows)(b + q, p->brs, k, w, right + q * k);
        else
          FN(pack)(b + q * p->bcs, p->bcs, k, w, right + q * k);
      }
      for (int64_t i = 0; i < p->m; i += height, a += height * p->ars) {
        const int64_t m = min_i64(height, p->m - i);
        FN(block_shape)
        s = {.k = k,
             .ars = 1,
             .ldb = COLUMNS,
             .ldc = p->ldc,
             .ldg = p->ldg,
             .bias = ends && p->bias ? (const T *)p->bias + j : NULL,
             .gate = ends && p->gate ? (const T *)p->gate + i * p->ldg + j : NULL,
             .relu = ends && p->relu,
             .more = p->more || l > 0};
        for (int64_t q = 0; q < m; q += BLOCK_ROWS)
          FN(pack_block)(a + q * p->ars, p->ars, p->acs, min_i64(BLOCK_ROWS, m - q), k,
                         left + q * k);
        FN(slice)(&s, m, n, left, right, C(p) + i * p->ldc + j);
      }
    }
}

/* ---- few rows ---- */

/* `vecs` vectors of row i of c[m, n] = a[m, k] b[k, n], from column j on. `chains` rows of b are
 * summed side by side, to hide the latency. */
static inline __attribute__((always_inline)) void FN(row)(const product *p, const int vecs,
                                                          const int chains, const bool part,
                                                          int64_t i, int64_t j) {
  VEC acc[8][8];
  const T *a = A(p) + i * p->ars, *b = B(p) + j;
  T *c = C(p) + i * p->ldc + j;
  const int64_t k = p->k, acs = p->acs, brs = p->brs, last = p->n - j - (vecs - 1) * V;
#define EACH_CHAIN _Pragma("GCC unroll 8") for (int q = 0; q < chains; q++)
#define EACH_VEC _Pragma("GCC unroll 8") for (int v = 0; v < vecs; v++)
#define ADD(acc, a, b)                                                                            \
  acc = FN(fma)(FN(splat)(*(a)),                                                                  \
                part && v == vecs - 1 ? FN(load_part)((b) + v * V, last) : FN(load)((b) + v * V), \
                acc)
  EACH_CHAIN EACH_VEC acc[q][v] = (VEC){0};
  int64_t l = 0;
  for (; l + chains <= k; l += chains, a += chains * acs, b += chains * brs)
    EACH_CHAIN EACH_VEC ADD(acc[q][v], a + q * acs, b + q * brs);
  for (; l < k; l++, a += acs, b += brs) EACH_VEC ADD(acc[0][v], a, b);
#pragma GCC unroll 4
  for (int half = chains / 2; half; half /= 2)
#pragma GCC unroll 4
    for (int q = 0; q < half; q++) EACH_VEC acc[q][v] += acc[q + half][v];
  const T *bias = p->bias, *gate = p->gate;
  EACH_VEC {
    const bool tail = part && v == vecs - 1;
    const VEC x = FN(end)(acc[0][v], bias ? bias + j + v * V : NULL, p->relu,
                          gate ? gate + i * p->ldg + j + v * V : NULL, tail, last);
    if (tail)
      FN(store_part)(c + v * V, x, last);
    else
      FN(store)(c + v * V, x);
  }
#undef EACH_CHAIN
#undef EACH_VEC
#undef ADD
}

static void FN(one_row)(const product *p, int64_t i) {
  const int64_t n = p->n;
  int64_t j = 0;
  for (; j + 8 * V <= n; j += 8 * V) FN(row)(p, 8, 1, false, i, j);
  if (j + 4 * V <= n) FN(row)(p, 4, 2, false, i, j), j += 4 * V;
  if (j + 2 * V <= n) FN(row)(p, 2, 4, false, i, j), j += 2 * V;
  if (j + V < n) FN(row)(p, 2, 4, true, i, j), j = n;
  if (j + V == n) FN(row)(p, 1, 8, false, i, j), j = n;
  if (j < n) FN(row)(p, 1, 8, true, i, j);
}

/* The products of x[k] with LANES rows, `step` apart. */
static inline FN(part) FN(dots)(int64_t k, const T *x, const T *rows, int64_t step) {
  VEC acc[LANES];
  int64_t l = 0;
#pragma GCC unroll 4
  for (int i = 0; i < LANES; i++) acc[i] = (VEC){0};
  for (; l + V <= k; l += V) {
    const VEC y = FN(load)(x + l);
#pragma GCC unroll 4
    for (int i = 0; i < LANES; i++) acc[i] = FN(fma)(y, FN(load)(rows + i * step + l), acc[i]);
  }
  if (l < k) {
    const VEC y = FN(load_part)(x + l, k - l);
#pragma GCC unroll 4
    for (int i = 0; i < LANES; i++)
      acc[i] = FN(fma)(y, FN(load_part)(rows + i * step + l, k - l), acc[i]);
  }
  return FN(sums)(acc);
}

static void FN(rows_by_rows)(const product *p) { /* those of b are contiguous */
  for (int64_t i = 0; i < p->m; i++) FN(one_row)(p, i);
}

static void FN(rows_by_dots)(const product *p) { /* the columns of b are contiguous */
  T copy[SMALL_DEPTH];
  for (int64_t i = 0; i < p->m; i++) {
    const T *x = A(p) + i * p->ars, *b = B(p);
    T *c = C(p) + i * p->ldc;
    if (p->acs != 1) {
      for (int64_t l = 0; l < p->k; l++) copy[l] = x[l * p->acs];
      x = copy;
    }
    int64_t j = 0;
    for (; j + LANES <= p->n; j += LANES, b += LANES * p->bcs) {
      const FN(part) sums = FN(dots)(p->k, x, b, p->bcs);
      memcpy(c + j, &sums, sizeof sums);
    }
    for (; j < p->n; j++, b += p->bcs) c[j] = FN(dots)(p->k, x, b, 0)[0];
  }
}

/* ---- the choice ---- */

/* The way of a product in the order it has. */
static enum way FN(straight)(const product *p) {
  if (p->bcs == 1 && (p->m < FEW || (p->k <= 2 && p->n >= 16 * V))) return ROWS;
  if (p->k > SMALL_DEPTH && p->m < FEW) return BLAS;
  if (p->k > SMALL_DEPTH || p->m * p->k * p->n > SMALL_WHOLE) return DEEP;
  return p->bcs == 1 ? BLOCKS : p->m < FEW ? DOTS : PACKED_BLOCKS;
}

/* Whether to compute c' = b' a' pays, since few columns leave the vectors mostly empty: by the
 * number of vectors multiplied in either order, and more than that if only then something is
 * packed. (Measured.) */
static bool FN(turns)(const product *p) {
  const int64_t here = p->m * ((p->n + V - 1) / V), there = p->n * ((p->m + V - 1) / V);
  if (p->m < FEW || p->m * p->n > TURNED_SIZE || p->k > SMALL_DEPTH) return false;
  return p->n < FEW || (p->ars == 1 || p->bcs != 1 ? 4 * there <= 3 * here : 2 * there <= here);
}

/* How a product is done here, whatever its size; BLAS if it cannot be. */
static enum way FN(small_way)(const product *p) {
  if ((p->ars != 1 && p->acs != 1) || (p->brs != 1 && p->bcs != 1)) return BLAS;
  return FN(turns)(p) ? TURNED : FN(straight)(p);
}

static void FN(turned)(const product *p) {
  _Alignas(64) T turned[TURNED_SIZE];
  const int64_t m = p->m, n = p->n, ldc = p->ldc;
  const bool in_place = n == 1 && ldc == 1;
  const product q = {.m = n,
                     .n = m,
                     .k = p->k,
                     .a = p->b,
                     .ars = p->bcs,
                     .acs = p->brs,
                     .b = p->a,
                     .brs = p->acs,
                     .bcs = p->ars,
                     .c = in_place ? p->c : turned,
                     .ldc = m};
  const enum way way = FN(straight)(&q);
  if (way == ROWS)
    FN(rows_by_rows)(&q);
  else if (way == DOTS)
    FN(rows_by_dots)(&q);
  else if (way == BLOCKS)
    FN(blocked_in_place)(&q);
  else
    FN(blocked_packed)(&q);
  if (in_place) return;
  T *c = C(p);
  int64_t i = 0;
  for (; i + LANES <= m; i += LANES, c += LANES * ldc) {
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) FN(turn)(turned + j * m + i, m, c + j, ldc);
    for (; j < n; j++)
      for (int64_t l = 0; l < LANES; l++) c[l * ldc + j] = turned[j * m + i + l];
  }
  for (; i < m; i++, c += ldc)
    for (int64_t j = 0; j < n; j++) c[j] = turned[j * m + i];
}

/* Every m, n, k >= 1 that the way was chosen for, and fewer rows. */
static void FN(multiply)(const product *p, enum way way) {
  switch (way) {
    case ROWS:
      FN(rows_by_rows)(p);
      return;
    case BLOCKS:
      FN(blocked_in_place)(p);
      return;
    case PACKED_BLOCKS:
      FN(blocked_packed)(p);
      return;
    case DEEP:
      FN(blocked_deep)(p);
      return;
    case DOTS:
      FN(rows_by_dots)(p);
      break;
    case TURNED:
      FN(turned)(p);
      break;
    case BLAS:
      FN(blas)(p);
      break;
  }
  FN(finish)(p);
}

#undef FN
#undef V
#undef LANES
#undef VEC
#undef COLUMNS
#undef A
#undef B
#undef C
#undef T
#undef SUFFIX
