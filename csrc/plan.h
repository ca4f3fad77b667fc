/* The plan as C sees it. Python writes these structures as NumPy arrays (gradplan/plan.py holds the
 * same layouts); _core checks every size and offset at import. Nothing here includes Python.h.
 *
 * A plan is five flat arrays: buffers, instructions, their argument lists, their attributes and the
 * constants. An instruction names a kernel and its buffers, outputs first. plan_run (run.c)
 * resolves every buffer to an address once and then walks the instructions.
 */
#ifndef GRADPLAN_PLAN_H
#define GRADPLAN_PLAN_H

#include <stddef.h>
#include <stdint.h>

enum { GP_MAX_RANK = 8, GP_MAX_ARGS = 24, GP_MAX_TEMPS = 12, GP_MAX_DEPTH = 16 };
/* A sum is one of blocks of so many elements; a tile_sum needs room for theirs, and has so many. */
enum { GP_SUM_BLOCK = 512, GP_MAX_SUMS = 4 };
/* The most elements of a tile_small. */
#ifndef GP_SMALL_TILE
#define GP_SMALL_TILE 512
#endif
/* The largest k of a product m k n for which our own kernels do all they can. */
enum { GP_SMALL_DEPTH = 512 };

/* dtypes, in the order of gradplan/dtypes.py */
enum gp_dtype {
  GP_BOOL,
  GP_I32,
  GP_I64,
  GP_F32,
  GP_F64,
  GP_U8,
  GP_I8,
  GP_I16,
  GP_F16,
  GP_BF16,
  GP_NDTYPES
};

/* Where a buffer lies: in the memory of one run, in the session's variables, in the plan's
 * constants, or in an array that belongs to the caller (a feed or a fetch). */
enum gp_segment { GP_ARENA, GP_STATE, GP_CONST, GP_EXTERN, GP_NSEGMENTS };

enum gp_status {
  GP_OK,
  GP_ERR_RANGE,  /* index or label `value` at element `index` is not in [0, bound) */
  GP_ERR_DIVIDE, /* integer division or remainder by zero at element `index` */
  GP_ERR_CAST,   /* float to integer: NaN or out of range at element `index` */
  GP_ERR_POWER,  /* integer to a negative integer power at element `index` */
  GP_ERR_HOST,   /* the Python function called by a HOST instruction raised */
  GP_ERR_ROW,    /* in Step.loop: row number `value` at `index` of the order is not in [0, bound) */
  GP_ERR_TWICE,  /* value `value` at element `index` was there before */
  GP_ERR_ORDER,  /* element `index` is below the one before it, or not above it where it must be */
  GP_ERR_NAN,    /* element `index` is NaN */
  GP_ERR_MATRIX, /* matrix `index` of a batch of `bound` has no such decomposition */
  GP_ERR_ROWS,   /* row `index` of sparse indices is not after the one before it */
  GP_ERR_DOMAIN, /* element `index` is no parameter of that kind: its bits as a double in `value`,
                    and what it should be, an enum gp_domain, in `bound` */
  GP_ERR_BOUNDS, /* the lower bound `value` is not below the upper one, `bound` */
  GP_ERR_PLAN    /* the plan itself is malformed; found by plan_check, never by a kernel */
};

/* What GP_ERR_DOMAIN asks of a number; plan.py has the words for it. */
enum gp_domain {
  GP_POSITIVE,    /* positive and finite */
  GP_RATE,        /* not negative, finite, and its counts fit their type */
  GP_LOGIT,       /* neither NaN nor inf */
  GP_SOME_FINITE, /* a row with at least one finite element; `index` is the row */
  GP_FRACTION,    /* in [0, 1) */
  GP_SPREAD       /* so many different classes can be drawn in reasonable time */
};

typedef struct {
  int64_t offset; /* bytes from the base of the segment (of the slot, for EXTERN) to element 0 */
  int64_t bytes;  /* bytes of storage behind the buffer; for people and profiles */
  int32_t dtype;
  int32_t rank;
  int32_t segment;
  int32_t slot; /* EXTERN: number of the feed or fetch; elsewhere -1 */
  int64_t dims[GP_MAX_RANK];
  int64_t strides[GP_MAX_RANK]; /* in elements; 0 broadcasts, negative reverses */
} gp_buf;

typedef struct {
  int32_t kernel; /* number in the kernel table */
  int32_t op;     /* number of the operation in the program, for errors and profiles */
  int32_t arg;    /* first of its entries in `args` */
  int16_t n_out, n_in;
  int64_t attr; /* first of its entries in `attrs`, or -1 */
  int64_t n_attr;
  int64_t span; /* so many instructions after it are its own: it runs them, as often as it needs */
} gp_insn;

typedef struct {
  int32_t status;
  int32_t insn;  /* number of the instruction that failed */
  int64_t index; /* flat element (or row) at fault */
  int64_t value; /* the value found there */
  int64_t bound;
} gp_error;

typedef struct {
  const gp_buf *bufs;
  const gp_insn *insns;
  const int32_t *args;  /* buffer numbers */
  const int64_t *attrs; /* integers; a double is stored by its bits */
  int64_t n_bufs, n_insns, n_args, n_attrs, n_slots;
  int64_t segment_bytes[3];  /* ARENA, STATE, CONST */
  const int64_t *slot_bytes; /* [n_slots] EXTERN: what the caller promises to pass */
  int64_t n_feeds;           /* slots below this are feeds, which no instruction may write */
} gp_plan;

typedef struct gp_run gp_run;
/* Calls the Python function of an instruction; with insn -1 lets Ctrl-C in. */
typedef int (*gp_host)(void *data, int64_t insn);

/* What run.c has found out about threads for this run; zeros at first. */
typedef struct {
  int64_t wait;    /* runs till the next trial */
  int64_t start;   /* of the trial */
  int64_t best[2]; /* ns of its fastest run alone, and with all threads */
  int32_t made;    /* runs of this half of it */
  int8_t half;     /* 0: with all, 1: alone */
  int8_t alone;    /* what was found */
} gp_trial;

/* One plan being run. The caller sets `base` and `slot` before every run; `ptr` is filled from them
 * and stays valid for the next run unless a base has moved. */
struct gp_run {
  const gp_plan *plan;
  const struct gp_table *table;
  char *base[3];     /* ARENA, STATE, CONST, each aligned to 64 bytes */
  char **slot;       /* [n_slots] arrays of the caller */
  char **ptr;        /* [n_bufs] address of element 0 of every buffer */
  char *resolved[3]; /* the bases that `ptr` was computed from; NULL at first */
  int32_t *externs;  /* [n_externs] numbers of the EXTERN buffers */
  int64_t n_externs;
  int threads; /* that the run may use */
  gp_trial trial;
  gp_host host;
  void *host_data;
  gp_error error;
};

/* A kernel returns GP_OK or a status, having filled run->error's index, value and bound. */
typedef int (*gp_kernel)(gp_run *run, const gp_insn *insn);
/* Called once by plan_check: GP_OK if the kernel may run on these buffers and attributes. After it
 * a kernel need not look at ranks, dtypes, dims or attributes again. Returns NULL or what is wrong.
 */
typedef const char *(*gp_checker)(const gp_plan *plan, const gp_insn *insn);

typedef struct {
  const char *name;
  gp_kernel run;
  gp_checker check;
} gp_kernel_entry;

/* A tile operation: n elements, dst may be exactly one of a, b, c but never overlap them otherwise.
 * Returns GP_OK or a status, with *bad the element at fault. */
typedef int (*gp_tile_op)(int64_t n, void *dst, const void *a, const void *b, const void *c,
                          int64_t *bad);
typedef struct {
  const char *name; /* "add.f32": operation and type of the operands; "cast.f32.i32" */
  gp_tile_op run;
  gp_tile_op one; /* the same where b is one element for the whole tile; a and b may be exchanged */
  int8_t arity;
  int8_t in[3], out; /* dtypes of the operands */
} gp_tile_entry;

/* Everything one ISA level offers. The order, hence every number, is the same in all of them. */
typedef struct gp_table {
  const char *isa;
  const gp_kernel_entry *kernels;
  int32_t n_kernels;
  const gp_tile_entry *tiles;
  int32_t n_tiles;
} gp_table;

#endif
