/* The walk of the memory planner (memory.py), whose time grows with the square of the buffers. */
#include <string.h>

#include "core.h"

typedef struct {
  int64_t low, high;   /* bytes [low, high) */
  int64_t first, last; /* instructions [first, last] */
} placed;
_Static_assert(sizeof(placed) == GP_PLACE_BYTES, "core.h says how large");

int64_t gp_place(int64_t n, const int64_t *bytes, const int64_t *first, const int64_t *last,
                 int64_t *offset, void *room) {
  placed *all = room; /* [n], by low */
  int64_t peak = 0;
  for (int64_t i = 0; i < n; i++) {
    /* The smallest gap that fits below those that live with it; else the place above them. */
    int64_t best = -1, best_gap = 0, end = 0;
    for (int64_t k = 0; k < i; k++) {
      const placed p = all[k];
      if (p.first > last[i] || first[i] > p.last) continue;
      const int64_t gap = p.low - end;
      if (gap >= bytes[i] && (best < 0 || gap < best_gap)) {
        best = end;
        best_gap = gap;
      }
      if (p.high > end) end = p.high;
    }
    offset[i] = best < 0 ? end : best;
    int64_t k = i;
    while (k > 0 && all[k - 1].low > offset[i]) k--;
    memmove(all + k + 1, all + k, (size_t)(i - k) * sizeof *all);
    all[k] = (placed){offset[i], offset[i] + bytes[i], first[i], last[i]};
    if (all[k].high > peak) peak = all[k].high;
  }
  return peak;
}
