/* The work on one matrix, for one type: see lapack.c, which includes this once for each. */
#define S(name) PASTE(name, SUFFIX)
#define LAPACK gp_lapack_table.SUFFIX

/* Whether a number on a diagonal is one that can be divided by: NaN is not. */
static bool S(all_nonzero)(const T *a, int n) {
  for (int i = 0; i < n; i++)
    if (!(fabs((double)a[(int64_t)i * (n + 1)]) > 0)) return false;
  return true;
}

static bool S(all_finite)(const T *a, int64_t n) {
  T sum = 0; /* 0 times an infinity or NaN is NaN */
  for (int64_t i = 0; i < n; i++) sum += a[i] * 0;
  return sum == 0;
}

/* The lower triangle, read column-major, is the upper one: a = l l' = u' u. */
static int S(cholesky)(const job *j, int64_t i, void *work, int32_t *iwork) {
  (void)work, (void)iwork;
  int n = j->n, info = 0;
  const T *a = (const T *)j->in[0] + i * n * n;
  T *l = (T *)j->out[0] + i * n * n;
  if (n == 0) return 0;
  for (int64_t r = 0; r < n; r++) {
    memcpy(l + r * n, a + r * n, (size_t)(r + 1) * sizeof(T));
    memset(l + r * n + r + 1, 0, (size_t)(n - r - 1) * sizeof(T));
  }
  LAPACK.potrf("U", &n, l, &n, &info);
  if (info) return info;
  return S(all_finite)(l, (int64_t)n * n) && S(all_nonzero)(l, n) ? 0 : n;
}

/* The inverse of the transpose is the transpose of the inverse. */
static int S(inverse)(const job *j, int64_t i, void *work, int32_t *iwork) {
  int n = j->n, info = 0, lwork = (int)j->lwork;
  T *y = (T *)j->out[0] + i * n * n;
  if (n == 0) return 0;
  memcpy(y, (const T *)j->in[0] + i * n * n, (size_t)n * n * sizeof(T));
  LAPACK.getrf(&n, &n, y, &n, iwork, &info);
  if (info || !S(all_nonzero)(y, n)) return info > 0 ? info : n;
  LAPACK.getri(&n, y, &n, iwork, work, &lwork, &info);
  return info;
}

/* The factors of a matrix in work; the sign of the permutation. */
static T S(lu)(const job *j, int64_t i, T *work, int32_t *iwork) {
  int n = j->n, info = 0;
  T sign = 1;
  if (n == 0) return sign;
  memcpy(work, (const T *)j->in[0] + i * n * n, (size_t)n * n * sizeof(T));
  LAPACK.getrf(&n, &n, work, &n, iwork, &info);
  for (int r = 0; r < n; r++)
    if (iwork[r] != r + 1) sign = -sign;
  return sign;
}

static int S(det)(const job *j, int64_t i, void *work, int32_t *iwork) {
  const T *f = work;
  T det = S(lu)(j, i, work, iwork);
  for (int64_t r = 0; r < j->n; r++) det *= f[r * (j->n + 1)];
  ((T *)j->out[0])[i] = det;
  return 0;
}

static int S(slogdet)(const job *j, int64_t i, void *work, int32_t *iwork) {
  const T *f = work;
  T sign = S(lu)(j, i, work, iwork);
  double sum = 0;
  for (int64_t r = 0; r < j->n; r++) {
    const T x = f[r * (j->n + 1)];
    sign = x > 0 ? sign : x < 0 ? -sign : x * sign; /* 0 or NaN */
    sum += log(fabs((double)x));
  }
  ((T *)j->out[0])[i] = sign == 0 ? 0 : sign;
  ((T *)j->out[1])[i] = (T)sum;
  return 0;
}

/* a x = b: column-major a is a', the columns of b are the rows of b'. */
static int S(solve)(const job *j, int64_t i, void *work, int32_t *iwork) {
  int n = j->n, k = j->k, info = 0;
  T *x = (T *)j->out[0] + i * k * n, *f = work;
  if (n == 0 || k == 0) return 0;
  memcpy(f, (const T *)j->in[0] + i * n * n, (size_t)n * n * sizeof(T));
  memcpy(x, (const T *)j->in[1] + i * k * n, (size_t)k * n * sizeof(T));
  LAPACK.getrf(&n, &n, f, &n, iwork, &info);
  if (info || !S(all_nonzero)(f, n)) return info > 0 ? info : n;
  LAPACK.getrs(j->adjoint ? "N" : "T", &n, &k, f, &n, iwork, x, &n, &info);
  return info;
}

static int S(triangular)(const job *j, int64_t i, void *work, int32_t *iwork) {
  (void)work, (void)iwork;
  int n = j->n, k = j->k, info = 0;
  T *a = (T *)j->in[0] + i * n * n, *x = (T *)j->out[0] + i * k * n;
  if (n == 0 || k == 0) return 0;
  if (!S(all_nonzero)(a, n)) return n;
  memcpy(x, (const T *)j->in[1] + i * k * n, (size_t)k * n * sizeof(T));
  LAPACK.trtrs(j->lower ? "U" : "L", j->adjoint ? "N" : "T", "N", &n, &k, a, &n, x, &n, &info);
  return info;
}

/* The least squares solution of least norm, by singular values. */
static int S(lstsq)(const job *j, int64_t i, void *work, int32_t *iwork) {
  int m = j->m, n = j->n, k = j->k, info = 0, rank, most = m > n ? m : n;
  T *x = (T *)j->out[0] + i * k * n, *a = work, *b = a + (int64_t)m * n;
  T *s = b + (int64_t)most * k, *rest = s + (m < n ? m : n), rcond = -1;
  int lwork = (int)(j->lwork - (rest - a));
  if (m == 0 || n == 0 || k == 0) {
    memset(x, 0, (size_t)k * n * sizeof(T));
    return 0;
  }
  memcpy(a, (const T *)j->in[0] + i * m * n, (size_t)m * n * sizeof(T));
  for (int64_t c = 0; c < k; c++) {
    memcpy(b + c * most, (const T *)j->in[1] + (i * k + c) * m, (size_t)m * sizeof(T));
    memset(b + c * most + m, 0, (size_t)(most - m) * sizeof(T));
  }
  if (!S(all_finite)(a, (int64_t)m * n) || !S(all_finite)(b, (int64_t)most * k)) return 1;
  LAPACK.gelsd(&m, &n, &k, a, &m, b, &most, s, &rcond, &rank, rest, &lwork, iwork, &info);
  for (int64_t c = 0; c < k; c++) memcpy(x + c * n, b + c * most, (size_t)n * sizeof(T));
  return info;
}

/* Of the lower triangle, column-major the upper one; the vectors come as columns, here rows. */
static int S(eigh)(const job *j, int64_t i, void *work, int32_t *iwork) {
  int n = j->n, info = 0, liwork = (int)j->liwork;
  T *e = (T *)j->out[0] + i * n, *spare = work;
  T *v = j->out[1] ? (T *)j->out[1] + i * n * n : spare, *rest = spare + (int64_t)n * n;
  int lwork = (int)(j->lwork - (int64_t)n * n);
  if (n == 0) return 0;
  for (int64_t r = 0; r < n; r++) {
    const T *row = (const T *)j->in[0] + (i * n + r) * n;
    if (!S(all_finite)(row, r + 1)) return 1; /* LAPACK may search for ever */
    memcpy(v + r * n, row, (size_t)(r + 1) * sizeof(T));
    memset(v + r * n + r + 1, 0, (size_t)(n - r - 1) * sizeof(T));
  }
  LAPACK.syevd(j->out[1] ? "V" : "N", "U", &n, v, &n, e, rest, &lwork, iwork, &liwork, &info);
  return info;
}

/* a' = v s u': column-major, its left vectors are v, here v', and its right ones' transpose u. */
static int S(svd)(const job *j, int64_t i, void *work, int32_t *iwork) {
  int m = j->m, n = j->n, p = m < n ? m : n, info = 0, one = 1;
  const int64_t n_u = j->full ? m : p, n_v = j->full ? n : p;
  T *a = work, *rest = a + (int64_t)m * n, *s = (T *)j->out[0] + i * p;
  T *u = j->out[1] ? (T *)j->out[1] + i * m * n_u : NULL;
  T *v = j->out[2] ? (T *)j->out[2] + i * n_v * n : NULL;
  int lwork = (int)(j->lwork - (int64_t)m * n), ldu = j->full ? m : p;
  if (p == 0) { /* any orthogonal matrices */
    for (int64_t r = 0; u && r < m * n_u; r++) u[r] = r % (m + 1) == 0;
    for (int64_t r = 0; v && r < n_v * n; r++) v[r] = r % (n + 1) == 0;
    return 0;
  }
  memcpy(a, (const T *)j->in[0] + i * m * n, (size_t)m * n * sizeof(T));
  if (!S(all_finite)(a, (int64_t)m * n)) return 1;
  if (u)
    LAPACK.gesdd(j->full ? "A" : "S", &n, &m, a, &n, s, v, &n, u, &ldu, rest, &lwork, iwork, &info);
  else
    LAPACK.gesdd("N", &n, &m, a, &n, s, a, &one, a, &one, rest, &lwork, iwork, &info);
  return info;
}

static int S(qr)(const job *j, int64_t i, void *work, int32_t *iwork) {
  (void)iwork;
  int m = j->m, n = j->n, p = m < n ? m : n, c = j->full, info = 0;
  T *a = work, *tau = a + (int64_t)m * n, *rest = tau + p;
  T *q = (T *)j->out[0] + i * c * m, *r = (T *)j->out[1] + i * c * n;
  int lwork = (int)(j->lwork - (rest - a));
  if (p) {
    memcpy(a, (const T *)j->in[0] + i * m * n, (size_t)m * n * sizeof(T));
    LAPACK.geqrf(&m, &n, a, &m, tau, rest, &lwork, &info);
    if (info) return 1;
  }
  for (int64_t row = 0; row < c; row++)
    for (int64_t col = 0; col < n; col++) r[row * n + col] = row <= col ? a[col * m + row] : 0;
  if (c == 0 || m == 0) return 0;
  if (p == 0) {
    for (int64_t at = 0; at < (int64_t)c * m; at++) q[at] = at % (m + 1) == 0;
    return 0;
  }
  memcpy(q, a, (size_t)m * p * sizeof(T));
  memset(q + (int64_t)m * p, 0, (size_t)m * (c - p) * sizeof(T));
  LAPACK.orgqr(&m, &c, &p, q, &m, tau, rest, &lwork, &info);
  return info ? 1 : 0;
}

/* exp(a) by scaling, the approximant [13/13] and squaring (N. J. Higham, 2005): r = (v - u)^-1 (v +
 * u), u = a (a6 (b13 a6 + b11 a4 + b9 a2) + b7 a6 + b5 a4 + b3 a2 + b1 I), v its even part. The
 * transpose of exp(a) is exp(a'), so the order of the elements does not matter. */
static void S(times)(int n, const T *a, const T *b, T *c) {
  T one = 1, zero = 0;
  S(gp_gemm)("N", "N", &n, &n, &n, &one, (T *)a, &n, (T *)b, &n, &zero, c, &n);
}

static int S(expm)(const job *j, int64_t i, void *work, int32_t *iwork) {
  static const double B[] = {64764752532480000,
                             32382376266240000,
                             7771770303897600,
                             1187353796428800,
                             129060195264000,
                             10559470521600,
                             670442572800,
                             33522128640,
                             1323241920,
                             40840800,
                             960960,
                             16380,
                             182,
                             1};
  int n = j->n, info = 0, squarings = 0;
  const int64_t size = (int64_t)n * n;
  const T *in = (const T *)j->in[0] + i * size;
  T *y = (T *)j->out[0] + i * size, *a = work, *a2 = a + size, *a4 = a2 + size, *a6 = a4 + size;
  T *u = a6 + size, *t = u + size;
  if (n == 0) return 0;
  if (!S(all_finite)(in, size)) return 1;
  double norm = 0;
  for (int64_t c = 0; c < n; c++) {
    double sum = 0;
    for (int64_t r = 0; r < n; r++) sum += fabs((double)in[c * n + r]);
    norm = sum > norm ? sum : norm;
  }
  if (norm > 5.371920351148152) squarings = (int)ceil(log2(norm / 5.371920351148152));
  for (int64_t r = 0; r < size; r++) a[r] = (T)ldexp(in[r], -squarings);
  S(times)(n, a, a, a2);
  S(times)(n, a2, a2, a4);
  S(times)(n, a2, a4, a6);
  for (int64_t r = 0; r < size; r++) t[r] = (T)(B[13] * a6[r] + B[11] * a4[r] + B[9] * a2[r]);
  S(times)(n, a6, t, y);
  for (int64_t r = 0; r < size; r++)
    y[r] += (T)(B[7] * a6[r] + B[5] * a4[r] + B[3] * a2[r] + (r % (n + 1) ? 0 : B[1]));
  S(times)(n, a, y, u);
  for (int64_t r = 0; r < size; r++) t[r] = (T)(B[12] * a6[r] + B[10] * a4[r] + B[8] * a2[r]);
  S(times)(n, a6, t, y); /* y becomes v */
  for (int64_t r = 0; r < size; r++)
    y[r] += (T)(B[6] * a6[r] + B[4] * a4[r] + B[2] * a2[r] + (r % (n + 1) ? 0 : B[0]));
  for (int64_t r = 0; r < size; r++) a[r] = y[r] - u[r], y[r] += u[r];
  LAPACK.getrf(&n, &n, a, &n, iwork, &info);
  if (info) return info;
  LAPACK.getrs("N", &n, &n, a, &n, iwork, y, &n, &info);
  for (; squarings > 0 && S(all_finite)(y, size); squarings--) {
    S(times)(n, y, y, a);
    memcpy(y, a, (size_t)size * sizeof(T));
  }
  return info;
}

#undef S
#undef LAPACK
#undef T
#undef SUFFIX
