/* The one pool of threads. A kernel cuts its work into tasks by the shapes alone and calls
 *
 *   gp_parallel(threads, n_tasks, fn, ctx)      fn(ctx, i) for every i in [0, n_tasks)
 *
 * which returns when all are done. The tasks are dealt out in equal runs, one to each thread, the
 * caller among them: the same memory meets the same core's cache in every step. Who is done with
 * its own run takes from the others'. One job runs at a time: if the pool is busy with somebody
 * else's, the caller does its tasks alone. Workers are made when first needed. After a job they
 * spin for SPIN_NS, as the next instruction may want them, and then sleep; an idle process has no
 * spinning thread.
 *
 * A thread's run is published in its `ticket`: the number of the job in the upper half, the next
 * task in the lower. A task is taken by compare-and-swap, which fails if the job is no longer the
 * one that was looked at. While the fields of a new job are written, the lower halves are CLOSED,
 * so that nobody can take a task with half of the old job's fields.
 */
#include "core.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#if defined(__SSE__)
#include <immintrin.h>
#define RELAX() _mm_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ volatile("yield")
#else
#define RELAX() (void)0
#endif

#ifndef GP_WAKE_NS
#define GP_WAKE_NS 50000
#endif
enum { SPIN_NS = 100000, WAKE_NS = GP_WAKE_NS, FORGET_NS = 1000000, STACK_BYTES = 4 << 20 };
#define CLOSED 0xffffffffu

typedef void (*task_fn)(void *ctx, int64_t task);

static struct {
  _Alignas(64) atomic_uint_fast64_t ticket;
} lanes[GP_MAX_THREADS];    /* [0] is the caller's, [1 + i] worker i's */
static atomic_uint current; /* number of the last job published */
static _Atomic(task_fn) job_fn;
static _Atomic(void *) job_ctx;
static atomic_uint job_tasks;  /* their number */
static atomic_int job_threads; /* how many may work */
static atomic_uint tasks_done;
static atomic_flag busy = ATOMIC_FLAG_INIT;

/* Where workers sleep until `current` changes. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t awake = PTHREAD_COND_INITIALIZER;
static atomic_int sleepers;

/* Who has `busy` may look at these. */
static int n_workers;                /* made so far */
static int n_lanes;                  /* that any job has had */
static int64_t alone_ns, alone_last; /* a caller's time without workers, and when that was */

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The first task of a lane; that of the next lane ends it. */
static uint32_t first_of(int lane, int threads, uint32_t n_tasks) {
  return (uint32_t)((uint64_t)n_tasks * (uint64_t)lane / (uint64_t)threads);
}

static void make_workers(int n);

static void wake(void) {
  make_workers(atomic_load(&job_threads) - 1); /* fewer are no harm */
  pthread_mutex_lock(&mutex);
  pthread_cond_broadcast(&awake);
  pthread_mutex_unlock(&mutex);
  alone_ns = 0;
}

/* Does tasks of the job, beginning with those of its own lane, until there is none left; at
 * `wake_at`, if it is not 0, the workers are woken. */
static void work(uint32_t job, int own, int64_t wake_at) {
  const int threads = atomic_load(&job_threads);
  for (int i = 0; i < threads; i++) {
    const int lane = (own + i) % threads;
    uint64_t t = atomic_load(&lanes[lane].ticket);
    while (t >> 32 == job && (uint32_t)t != CLOSED) {
      const task_fn fn = atomic_load(&job_fn);
      void *ctx = atomic_load(&job_ctx);
      if ((uint32_t)t >= first_of(lane + 1, threads, atomic_load(&job_tasks))) break;
      if (!atomic_compare_exchange_weak(&lanes[lane].ticket, &t, t + 1)) continue;
      fn(ctx, (uint32_t)t);
      atomic_fetch_add(&tasks_done, 1);
      if (wake_at && now_ns() >= wake_at) wake(), wake_at = 0;
      t = atomic_load(&lanes[lane].ticket);
    }
  }
}

/* Waits for another job than `last` and returns its number. */
static uint32_t next_job(uint32_t last) {
  const int64_t end = now_ns() + SPIN_NS;
  uint32_t job;
  do {
    for (int i = 0; i < 50; i++) {
      if ((job = atomic_load(&current)) != last) return job;
      RELAX();
    }
  } while (now_ns() < end);
  pthread_mutex_lock(&mutex);
  atomic_fetch_add(&sleepers, 1); /* before the last look: the publisher looks after publishing */
  while ((job = atomic_load(&current)) == last) pthread_cond_wait(&awake, &mutex);
  atomic_fetch_sub(&sleepers, 1);
  pthread_mutex_unlock(&mutex);
  return job;
}

static void *worker(void *number) {
  const int lane = 1 + (int)(intptr_t)number;
  uint32_t job = 0;
  gp_flush_denormals();
  for (;;) {
    job = next_job(job);
    if (lane < atomic_load(&job_threads)) work(job, lane, 0);
  }
  return NULL;
}

/* In the child of a fork only the thread that forked exists: all begins anew. */
static void after_fork(void) {
  pthread_mutex_init(&mutex, NULL);
  pthread_cond_init(&awake, NULL);
  atomic_store(&sleepers, 0);
  n_workers = 0;
  atomic_flag_clear(&busy);
}

static void make_workers(int n) {
  if (n_workers >= n) return;
  static bool forks_handled;
  pthread_attr_t attr;
  sigset_t all, old;
  if (!forks_handled) forks_handled = pthread_atfork(NULL, NULL, after_fork) == 0;
  if (pthread_attr_init(&attr)) return;
  pthread_attr_setstacksize(&attr, STACK_BYTES);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  sigfillset(&all); /* signals are for the threads that Python knows */
  pthread_sigmask(SIG_SETMASK, &all, &old);
  for (pthread_t thread; n_workers < n; n_workers++)
    if (pthread_create(&thread, &attr, worker, (void *)(intptr_t)n_workers)) break;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
}

void gp_parallel(int threads, int64_t n_tasks, task_fn fn, void *ctx) {
  if (threads > n_tasks) threads = (int)n_tasks;
  if (threads > GP_MAX_THREADS) threads = GP_MAX_THREADS;
  if (threads <= 1 || n_tasks >= CLOSED || atomic_flag_test_and_set(&busy)) {
    for (int64_t i = 0; i < n_tasks; i++) fn(ctx, i);
    return;
  }
  const uint32_t job = atomic_load(&current) + 1;
  const uint64_t name = (uint64_t)job << 32;
  for (int i = 0; i < n_lanes; i++) atomic_store(&lanes[i].ticket, name | CLOSED);
  if (n_lanes < threads) n_lanes = threads;
  atomic_store(&job_fn, fn);
  atomic_store(&job_ctx, ctx);
  atomic_store(&job_tasks, (uint32_t)n_tasks);
  atomic_store(&job_threads, threads);
  atomic_store(&tasks_done, 0);
  for (int i = 0; i < threads; i++)
    atomic_store(&lanes[i].ticket, name | first_of(i, threads, (uint32_t)n_tasks));
  atomic_store(&current, job);
  if (n_workers < threads - 1 || atomic_load(&sleepers)) {
    const int64_t start = now_ns();
    if (start - alone_last > FORGET_NS) alone_ns = 0;
    if (alone_ns >= WAKE_NS) wake();
    work(job, 0, start + WAKE_NS - alone_ns);
    alone_last = now_ns();
    alone_ns += alone_last - start;
  } else {
    work(job, 0, 0);
  }
  for (int i = 0; atomic_load(&tasks_done) < n_tasks; i++) {
    RELAX();
    if (i > 10000) sched_yield(); /* a worker's core may be taken by somebody else */
  }
  atomic_flag_clear(&busy);
}

int gp_n_workers(void) { return n_workers; }
