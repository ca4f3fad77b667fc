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
 * What a core must know of another's doings costs it some 100 ns a cache line, so everything
 * between the caller and a worker is in one line, the worker's lane: the worker spins on it, finds
 * the job there, takes its tasks from it and counts in it what it has done. A lane's `ticket` holds
 * the number of the job, its next task and the end of its run. A task is taken by
 * compare-and-swap, which fails if the lane has been given another job: as long as a job has tasks
 * to be taken, nobody overwrites what was read about it.
 */
#define _GNU_SOURCE /* the affinity of threads */
#include "core.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
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

typedef void (*task_fn)(void *ctx, int64_t task);

typedef struct {
  _Alignas(64) atomic_uint_fast64_t ticket; /* job << 32 | next task << 16 | end */
  atomic_uint_fast64_t done;                /* job << 32 | tasks of it that this thread has done */
  _Atomic(task_fn) fn;
  _Atomic(void *) ctx;
  atomic_int threads; /* lanes of the job */
} lane;

static lane lanes[GP_MAX_THREADS]; /* [0] is the caller's, [1 + i] worker i's */
static atomic_flag busy = ATOMIC_FLAG_INIT;

#define GET(from) atomic_load_explicit(&(from), memory_order_acquire)
#define PUT(to, value) atomic_store_explicit(&(to), (value), memory_order_release)
#define JOB(word) ((uint32_t)((word) >> 32))
#define NEXT(ticket) ((uint32_t)(ticket) >> 16)
#define END(ticket) ((uint32_t)(ticket) & MAX_TASKS)
enum { MAX_TASKS = 0xffff };

/* Where workers sleep until their lane has another job. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t awake = PTHREAD_COND_INITIALIZER;
static atomic_int sleepers;

/* Who has `busy` may look at these. */
static int n_workers; /* made so far */
static pthread_t workers[GP_MAX_THREADS];
static atomic_uint last_job;         /* its number; others may look, too */
static int64_t alone_ns, alone_last; /* a caller's time without workers, and when that was */

int64_t gp_now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void make_workers(int n);

/* Sends the workers to other CPUs than the caller's: Linux likes to wake a thread where its waker
 * runs, and there it would wait for the caller to be done. (Measured on two CPUs: for whole
 * milliseconds, in one process of three.) */
static void keep_off_here(void) {
#if defined(__linux__)
  cpu_set_t allowed;
  const int here = sched_getcpu();
  if (here < 0 || sched_getaffinity(0, sizeof allowed, &allowed)) return;
  if (CPU_COUNT(&allowed) > 1) CPU_CLR(here, &allowed);
  for (int i = 0; i < n_workers; i++) pthread_setaffinity_np(workers[i], sizeof allowed, &allowed);
#endif
}

static void wake(int threads) {
  make_workers(threads - 1); /* fewer are no harm */
  keep_off_here();
  pthread_mutex_lock(&mutex);
  pthread_cond_broadcast(&awake);
  pthread_mutex_unlock(&mutex);
  alone_ns = 0;
}

/* Does tasks of the job, beginning with those of its own lane, until none is left, and returns
 * their number; at `wake_at`, if it is not 0, the workers are woken. */
static uint32_t work(uint32_t job, int own, int64_t wake_at) {
  const task_fn fn = GET(lanes[own].fn);
  void *ctx = GET(lanes[own].ctx);
  const int threads = GET(lanes[own].threads);
  uint32_t done = 0;
  for (int i = 0; i < threads; i++) {
    lane *from = &lanes[(own + i) % threads];
    uint64_t t = GET(from->ticket);
    while (JOB(t) == job && NEXT(t) < END(t)) {
      if (!atomic_compare_exchange_weak(&from->ticket, &t, t + (1 << 16))) continue;
      fn(ctx, NEXT(t));
      PUT(lanes[own].done, (uint64_t)job << 32 | ++done);
      if (wake_at && gp_now_ns() >= wake_at) wake(threads), wake_at = 0;
      t = GET(from->ticket);
    }
  }
  return done;
}

/* Waits until the lane has another job than `last` and returns its number. */
static uint32_t next_job(lane *own, uint32_t last) {
  const int64_t end = gp_now_ns() + SPIN_NS;
  uint32_t job;
  do {
    for (int i = 0; i < 50; i++) {
      if ((job = JOB(GET(own->ticket))) != last) return job;
      RELAX();
    }
  } while (gp_now_ns() < end);
  pthread_mutex_lock(&mutex);
  atomic_fetch_add(&sleepers, 1);
  while ((job = JOB(GET(own->ticket))) == last) pthread_cond_wait(&awake, &mutex);
  atomic_fetch_sub(&sleepers, 1);
  pthread_mutex_unlock(&mutex);
  return job;
}

static void *worker(void *number) {
  const int own = 1 + (int)(intptr_t)number;
  uint32_t job = 0;
  gp_flush_denormals();
  for (;;) {
    job = next_job(&lanes[own], job);
    work(job, own, 0);
  }
  return NULL;
}

/* In the child of a fork only the thread that forked exists: all begins anew. */
static void after_fork(void) {
  pthread_mutex_init(&mutex, NULL);
  pthread_cond_init(&awake, NULL);
  atomic_store(&sleepers, 0);
  for (int i = 0; i < GP_MAX_THREADS; i++) atomic_store(&lanes[i].ticket, 0);
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
  for (; n_workers < n; n_workers++)
    if (pthread_create(&workers[n_workers], &attr, worker, (void *)(intptr_t)n_workers)) break;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
}

/* The tasks of a job that the workers have done. */
static uint32_t done_by_workers(uint32_t job, int threads) {
  uint32_t done = 0;
  for (int i = 1; i < threads; i++) {
    const uint64_t word = GET(lanes[i].done);
    if (JOB(word) == job) done += (uint32_t)word;
  }
  return done;
}

void gp_parallel(int threads, int64_t n_tasks, task_fn fn, void *ctx) {
  if (threads > n_tasks) threads = (int)n_tasks;
  if (threads > GP_MAX_THREADS) threads = GP_MAX_THREADS;
  if (threads <= 1 || n_tasks > MAX_TASKS || atomic_flag_test_and_set(&busy)) {
    for (int64_t i = 0; i < n_tasks; i++) fn(ctx, i);
    return;
  }
  const uint32_t job = gp_jobs() == UINT32_MAX ? 1 : gp_jobs() + 1; /* 0 is none */
  atomic_store_explicit(&last_job, job, memory_order_relaxed);
  for (int i = threads - 1; i >= 0; i--) { /* the lane's line is asked for by its first store */
    const uint64_t first = (uint64_t)(n_tasks * i / threads);
    const uint64_t end = (uint64_t)(n_tasks * (i + 1) / threads);
    PUT(lanes[i].fn, fn);
    PUT(lanes[i].ctx, ctx);
    PUT(lanes[i].threads, threads);
    PUT(lanes[i].ticket, (uint64_t)job << 32 | first << 16 | end);
  }
  uint32_t rest = (uint32_t)n_tasks;
  if (n_workers < threads - 1 || GET(sleepers)) { /* a worker just falling asleep misses a job */
    const int64_t start = gp_now_ns();
    /* but a job that was long by itself is remembered */
    if (start - alone_last > FORGET_NS && alone_ns < WAKE_NS) alone_ns = 0;
    if (alone_ns >= WAKE_NS) wake(threads);
    rest -= work(job, 0, start + WAKE_NS - alone_ns);
    alone_last = gp_now_ns();
    alone_ns += alone_last - start;
  } else {
    rest -= work(job, 0, 0);
  }
  for (int i = 0; done_by_workers(job, threads) < rest; i++) {
    RELAX();
    if (i > 10000) sched_yield(); /* a worker's core may be taken by somebody else */
  }
  atomic_flag_clear(&busy);
}

void gp_wake(int threads) {
  if (atomic_flag_test_and_set(&busy)) return;
  wake(threads);
  atomic_flag_clear(&busy);
}

uint32_t gp_jobs(void) { return atomic_load_explicit(&last_job, memory_order_relaxed); }

int gp_n_workers(void) { return n_workers; }

static _Thread_local void *scratch;
static pthread_key_t scratch_key; /* frees it at the thread's end */
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static bool scratch_ready;

static void make_scratch_key(void) { scratch_ready = pthread_key_create(&scratch_key, free) == 0; }

void *gp_scratch(void) {
  if (scratch) return scratch;
  pthread_once(&scratch_once, make_scratch_key);
  void *memory = scratch_ready ? aligned_alloc(64, GP_SCRATCH_BYTES) : NULL;
  if (memory && pthread_setspecific(scratch_key, memory)) free(memory), memory = NULL;
  return scratch = memory;
}
