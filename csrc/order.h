/* top_k for one type; included by order.c with T, U, SUFFIX and KEY(bits). */
#define FN(name) PASTE(name, SUFFIX)

typedef struct {
  U key;
  uint32_t at;
} FN(entry);

static inline U FN(key_of)(T x, U flip) {
  U bits;
  memcpy(&bits, &x, sizeof bits);
  return KEY(bits) ^ flip;
}

static inline bool FN(after)(FN(entry) a, FN(entry) b) {
  return a.key > b.key || (a.key == b.key && a.at > b.at);
}

/* Lets `e` sink from place i of a heap of n whose root is the last in order. */
static void FN(sink)(FN(entry) * heap, int64_t n, int64_t i, FN(entry) e) {
  for (int64_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && FN(after)(heap[child + 1], heap[child])) child++;
    if (!FN(after)(heap[child], e)) break;
    heap[i] = heap[child];
  }
  heap[i] = e;
}

static FN(entry) * FN(select)(const T *x, int64_t n, int64_t k, U flip, FN(entry) * heap) {
  for (int64_t i = 0; i < k; i++) heap[i] = (FN(entry)){FN(key_of)(x[i], flip), (uint32_t)i};
  for (int64_t i = k / 2 - 1; i >= 0; i--) FN(sink)(heap, k, i, heap[i]);
  for (int64_t from = k; from < n; from += ORDER_BLOCK) {
    const int64_t m = min_i64(ORDER_BLOCK, n - from);
    U keys[ORDER_BLOCK], least = (U)-1;
    for (int64_t j = 0; j < m; j++) {
      keys[j] = FN(key_of)(x[from + j], flip);
      least = keys[j] < least ? keys[j] : least;
    }
    if (least >= heap[0].key) continue;
    for (int64_t j = 0; j < m; j++)
      if (keys[j] < heap[0].key) FN(sink)(heap, k, 0, (FN(entry)){keys[j], (uint32_t)(from + j)});
  }
  for (int64_t m = k - 1; m > 0; m--) {
    const FN(entry) last = heap[m];
    heap[m] = heap[0];
    FN(sink)(heap, m, 0, last);
  }
  return heap;
}

static FN(entry) * FN(sort)(const T *x, int64_t n, U flip, FN(entry) * a) {
  FN(entry) *b = a + n;
  if (n <= ORDER_FEW) {
    for (int64_t i = 0; i < n; i++) {
      const FN(entry) e = {FN(key_of)(x[i], flip), (uint32_t)i};
      int64_t j = i;
      for (; j > 0 && a[j - 1].key > e.key; j--) a[j] = a[j - 1];
      a[j] = e;
    }
    return a;
  }
  uint32_t counts[sizeof(U)][256] = {{0}};
  for (int64_t i = 0; i < n; i++) {
    const U key = FN(key_of)(x[i], flip);
    a[i] = (FN(entry)){key, (uint32_t)i};
    for (size_t d = 0; d < sizeof(U); d++) counts[d][key >> (8 * d) & 255]++;
  }
  for (size_t d = 0; d < sizeof(U); d++) {
    if (counts[d][a[0].key >> (8 * d) & 255] == (uint32_t)n) continue; /* all are alike here */
    uint32_t begin[256], at = 0;
    for (int v = 0; v < 256; v++) {
      begin[v] = at;
      at += counts[d][v];
    }
    for (int64_t i = 0; i < n; i++) b[begin[a[i].key >> (8 * d) & 255]++] = a[i];
    FN(entry) *const t = a;
    a = b;
    b = t;
  }
  return a;
}

static void FN(order_task)(void *ctx, int64_t task) {
  const order_job *job = ctx;
  const int64_t from = task * job->step, to = min_i64(from + job->step, job->rows);
  FN(entry) *const scratch = (FN(entry) *)(void *)(job->scratch + task * job->words);
  const U flip = job->descending ? (U)-1 : 0;
  for (int64_t r = from; r < to; r++) {
    const T *x = (const T *)(const void *)job->x + r * job->n;
    const FN(entry) *first = job->whole ? FN(sort)(x, job->n, flip, scratch)
                                        : FN(select)(x, job->n, job->k, flip, scratch);
    T *values = job->values ? (T *)(void *)job->values + r * job->k : NULL;
    int32_t *indices = job->indices ? job->indices + r * job->k : NULL;
    for (int64_t i = 0; i < job->k; i++) {
      if (values) values[i] = x[first[i].at];
      if (indices) indices[i] = (int32_t)first[i].at;
    }
  }
}

#undef FN
#undef T
#undef U
#undef SUFFIX
#undef KEY
