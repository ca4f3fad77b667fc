# The C core as Cython sees it: csrc/plan.h and csrc/core.h.
from libc.stdint cimport int32_t, int64_t

cdef extern from "core.h" nogil:
    enum:
        GP_MAX_RANK, GP_MAX_ARGS, GP_MAX_TEMPS, GP_SUM_BLOCK, GP_MAX_SUMS, GP_SMALL_DEPTH, GP_SMALL_TILE
        GP_NDTYPES
        GP_MAX_THREADS
        GP_ARENA, GP_STATE, GP_CONST, GP_EXTERN
        GP_OK, GP_ERR_HOST, GP_ERR_ROW
        GP_F32, GP_F64, GP_BF16
    int64_t GP_MAX_BYTES
    ctypedef struct gp_buf:
        int64_t offset, bytes
        int32_t dtype, rank, segment, slot
        int64_t dims[8]
        int64_t strides[8]
    ctypedef struct gp_insn:
        int32_t kernel, op, arg
        short n_out, n_in
        int64_t attr, n_attr, span
    ctypedef struct gp_error:
        int32_t status, insn
        int64_t index, value, bound
    ctypedef struct gp_plan:
        const gp_buf *bufs
        const gp_insn *insns
        const int32_t *args
        const int64_t *attrs
        int64_t n_bufs, n_insns, n_args, n_attrs, n_slots
        int64_t segment_bytes[3]
        const int64_t *slot_bytes
        int64_t n_feeds
    ctypedef struct gp_run:
        const gp_plan *plan
        char *base[3]
        char **slot
        char **ptr
        char *resolved[3]
        int32_t *externs
        int64_t n_externs
        int threads
        int (*host)(void *, int64_t) noexcept nogil
        void *host_data
        gp_error error
    ctypedef struct gp_kernel_entry:
        const char *name
    ctypedef struct gp_tile_entry:
        const char *name
    ctypedef struct gp_table:
        const char *isa
        const gp_kernel_entry *kernels
        int32_t n_kernels
        const gp_tile_entry *tiles
        int32_t n_tiles
    ctypedef struct gp_gathered:
        const char *data
        char *staging
        int64_t row_bytes, slot
    ctypedef struct gp_loop:
        int64_t n_rows, batch, steps, done
        const int64_t *order
        int64_t *rows
        const gp_gathered *gathered
        int64_t n_gathered
        char **results
        int64_t n_results
    int gp_loop_run(const gp_table *, gp_run *, gp_loop *, int64_t)
    int64_t gp_itemsize(int32_t)
    const char *gp_extent(const gp_buf *, int64_t *, int64_t *)
    const char *gp_plan_check(const gp_table *, const gp_plan *, int64_t *, int64_t *)
    int gp_plan_run(const gp_table *, gp_run *)
    enum: GP_PLACE_BYTES
    int64_t gp_place(int64_t, const int64_t *, const int64_t *, const int64_t *, int64_t *, void *)
    int gp_n_workers()
    int gp_n_tables()
    const gp_table *gp_table_at(int)
    int gp_product_way
    void gp_set_blas(void *, void *, void *, void *)
    void gp_set_lapack(void **)
    void gp_set_special(void *, void *, void *, void *)
