/* Many runs of one plan: for every step gather the rows of a batch, run, keep the scalars. */
#include "core.h"

#include <string.h>
#include <time.h>

enum { CHECK_NS = 100000 }; /* how often the clock is read, roughly */

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#define GATHER_ROWS(type) \
  for (int64_t i = 0; i < batch; i++) ((type *)to)[i] = ((const type *)from)[rows[i]];

/* Rows `rows` of `from` to to[batch, row_bytes]. */
static void gather(char *restrict to, const char *restrict from, const int64_t *restrict rows,
                   int64_t batch, int64_t row_bytes) {
  if (row_bytes == 4) {
    GATHER_ROWS(uint32_t)
  } else if (row_bytes == 8) {
    GATHER_ROWS(uint64_t)
  } else {
    for (int64_t i = 0; i < batch; i++)
      memcpy(to + i * row_bytes, from + rows[i] * row_bytes, (size_t)row_bytes);
  }
}

/* Points the run at the feeds and fetches of step loop->done. The caller has checked the order, but
 * it is his memory, which somebody may write meanwhile: hence a copy that is checked again. */
static int prepare(gp_run *run, gp_loop *loop) {
  const int64_t batch = loop->batch, at = loop->done * batch;
  int64_t first = at;
  int apart = 0;
  if (loop->order) {
    memcpy(loop->rows, loop->order + at, (size_t)batch * sizeof *loop->rows);
    first = loop->rows[0];
    for (int64_t i = 0; i < batch; i++) {
      if ((uint64_t)loop->rows[i] >= (uint64_t)loop->n_rows) {
        run->error = (gp_error){
            .status = GP_ERR_ROW, .index = at + i, .value = loop->rows[i], .bound = loop->n_rows};
        return GP_ERR_ROW;
      }
      apart |= loop->rows[i] != first + i;
    }
  }
  for (int64_t i = 0; i < loop->n_gathered; i++) {
    const gp_gathered *feed = &loop->gathered[i];
    if (apart) gather(feed->staging, feed->data, loop->rows, batch, feed->row_bytes);
    run->slot[feed->slot] = apart ? feed->staging : (char *)feed->data + first * feed->row_bytes;
  }
  for (int64_t i = 0; i < loop->n_results; i++)
    run->slot[run->plan->n_feeds + i] =
        loop->results[i] + loop->done * run->plan->slot_bytes[run->plan->n_feeds + i];
  return GP_OK;
}

int gp_loop_run(const gp_table *table, gp_run *run, gp_loop *loop, int64_t nanoseconds) {
  int64_t start = now_ns(), steps = 0, stride = 1;
  while (loop->done < loop->steps) {
    int status = prepare(run, loop);
    if (!status) status = gp_plan_run(table, run);
    if (status) return status;
    loop->done++;
    if (++steps % stride) continue;
    const int64_t elapsed = now_ns() - start;
    if (elapsed >= nanoseconds) break;
    if (elapsed < CHECK_NS && stride < 1024) stride *= 2;
    if (elapsed / steps * stride > 2 * CHECK_NS) stride = 1;
  }
  return GP_OK;
}
