/* What the C core offers to its caller (pyx/_core.pyx), besides the structures of plan.h. */
#ifndef GRADPLAN_CORE_H
#define GRADPLAN_CORE_H

#include "plan.h"

/* No plan may name more memory than this: it is far above any machine, far below overflow. */
#define GP_MAX_BYTES ((int64_t)1 << 47)

static inline int64_t gp_itemsize(int32_t dtype) {
  static const int8_t size[GP_NDTYPES] = {1, 4, 8, 4, 8, 1, 1, 2, 2, 2};
  return size[dtype];
}

/* run.c */
/* Bytes [*begin, *end) that a buffer touches, relative to its segment; or NULL if it is sound. */
const char *gp_extent(const gp_buf *buf, int64_t *begin, int64_t *end);
/* Everything that could lead a kernel out of bounds, once per plan. NULL, or what is wrong, with
 * the number of the instruction or buffer at fault in *insn or *buf (the other is -1). */
const char *gp_plan_check(const gp_table *table, const gp_plan *plan, int64_t *insn, int64_t *buf);
/* Runs a checked plan. GP_OK, or a status with run->error filled. */
int gp_plan_run(const gp_table *table, gp_run *run);
int gp_call_host(gp_run *run, const gp_insn *insn);
/* Runs instructions [first, end) of a run in progress. */
int gp_run_range(gp_run *run, int64_t first, int64_t end);

/* loop.c */
typedef struct {
  const char *data; /* [n_rows, row_bytes] of the caller */
  char *staging;    /* [batch, row_bytes] */
  int64_t row_bytes;
  int64_t slot;
} gp_gathered;
typedef struct {
  int64_t n_rows, batch, steps;
  int64_t done;         /* steps so far */
  const int64_t *order; /* [steps * batch] rows of the batches, or NULL: as they come */
  int64_t *rows;        /* [batch] */
  const gp_gathered *gathered;
  int64_t n_gathered;
  char **results; /* [n_results] an array [steps] for each fetch, all of them scalars */
  int64_t n_results;
} gp_loop;
/* Runs steps until all are done or the time is over. All slots but those of the gathered feeds and
 * the fetches are set. */
int gp_loop_run(const gp_table *table, gp_run *run, gp_loop *loop, int64_t nanoseconds);

/* place.c: offsets for n buffers, one after the other, each of so many bytes and alive from one
 * instruction to another: where no two that live at one time overlap. The sum of all bytes fits in
 * an int64; `room` is GP_PLACE_BYTES for each buffer. Returns the end of the highest. */
enum { GP_PLACE_BYTES = 32 };
int64_t gp_place(int64_t n, const int64_t *bytes, const int64_t *first, const int64_t *last,
                 int64_t *offset, void *room);

/* pool.c */
enum { GP_MAX_THREADS = 256 };
void gp_parallel(int threads, int64_t n_tasks, void (*fn)(void *ctx, int64_t task), void *ctx);
void gp_wake(int threads); /* a job is about to come */
uint32_t gp_jobs(void);    /* that came so far */
int64_t gp_now_ns(void);
int gp_n_workers(void); /* threads made so far, for tests */
/* Memory of the calling thread, made when it first asks; NULL if there is none to be had. */
enum { GP_SCRATCH_BYTES = 704 << 10 };
void *gp_scratch(void);

/* Denormals cost 100 cycles each: flushed to zero in the workers, and elsewhere during a run. */
void gp_flush_denormals(void);

/* dispatch.c: the tables this CPU can run, slowest first. */
int gp_n_tables(void);
const gp_table *gp_table_at(int i);

/* BLAS with the Fortran interface: 32-bit integers, everything by pointer, column-major. */
typedef void (*gp_sgemm)(char *, char *, int *, int *, int *, float *, float *, int *, float *,
                         int *, float *, float *, int *);
typedef void (*gp_dgemm)(char *, char *, int *, int *, int *, double *, double *, int *, double *,
                         int *, double *, double *, int *);
typedef void (*gp_sgemv)(char *, int *, int *, float *, float *, int *, float *, int *, float *,
                         float *, int *);
typedef void (*gp_dgemv)(char *, int *, int *, double *, double *, int *, double *, int *, double *,
                         double *, int *);
typedef struct {
  gp_sgemm sgemm;
  gp_dgemm dgemm;
  gp_sgemv sgemv;
  gp_dgemv dgemv;
} gp_blas;
extern gp_blas gp_blas_table; /* all NULL until gp_set_blas */
/* Which products our own kernels do: 0 those below the measured sizes, 1 all that they can, -1
 * none. For tests and measurements. */
extern int gp_product_way;
void gp_set_blas(void *sgemm, void *dgemm, void *sgemv, void *dgemv);

/* lapack.c: LAPACK with the same interface. The functions are in the order of pyx/blas.pxi. */
#define GP_LAPACK_OF(name, T)                                                                      \
  typedef struct {                                                                                 \
    void (*potrf)(char *, int *, T *, int *, int *);                                               \
    void (*trtrs)(char *, char *, char *, int *, int *, T *, int *, T *, int *, int *);            \
    void (*getrf)(int *, int *, T *, int *, int *, int *);                                         \
    void (*getrs)(char *, int *, int *, T *, int *, int *, T *, int *, int *);                     \
    void (*getri)(int *, T *, int *, int *, T *, int *, int *);                                    \
    void (*gelsd)(int *, int *, int *, T *, int *, T *, int *, T *, T *, int *, T *, int *, int *, \
                  int *);                                                                          \
    void (*syevd)(char *, char *, int *, T *, int *, T *, T *, int *, int *, int *, int *);        \
    void (*gesdd)(char *, int *, int *, T *, int *, T *, T *, int *, T *, int *, T *, int *,       \
                  int *, int *);                                                                   \
    void (*geqrf)(int *, int *, T *, int *, T *, T *, int *, int *);                               \
    void (*orgqr)(int *, int *, int *, T *, int *, T *, T *, int *, int *);                        \
  } name;
GP_LAPACK_OF(gp_lapack_f32, float)
GP_LAPACK_OF(gp_lapack_f64, double)
typedef struct {
  gp_lapack_f32 f32;
  gp_lapack_f64 f64;
} gp_lapack;
extern gp_lapack gp_lapack_table; /* all NULL until gp_set_lapack */
void gp_set_lapack(void **pointers);
/* Functions of scipy.special.cython_special; the last argument means nothing. */
typedef double (*gp_special1)(double, int);
typedef double (*gp_special2)(double, double, int);
typedef double (*gp_special3)(double, double, double, int);
typedef struct {
  gp_special1 psi;
  gp_special2 gammainc, gammaincc;
  gp_special3 betainc;
} gp_special;
extern gp_special gp_special_table; /* all NULL until gp_set_special */
void gp_set_special(void *psi, void *gammainc, void *gammaincc, void *betainc);

#endif
