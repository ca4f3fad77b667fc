/* Which kernel tables this CPU can run, and the pointers to BLAS. */
#include "core.h"

extern const gp_table gp_table_baseline;
#if defined(__x86_64__)
extern const gp_table gp_table_v3, gp_table_v4;

/* The features behind the level's -march, as the compiler may use any of them. libgcc also asks
 * whether the operating system saves the wide registers. */
static int has_v3(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("f16c") && __builtin_cpu_supports("lzcnt") &&
         __builtin_cpu_supports("movbe") && __builtin_cpu_supports("popcnt");
}
static int has_v4(void) {
  return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

int gp_n_tables(void) { return 1 + has_v3() + has_v4(); }
const gp_table *gp_table_at(int i) {
  return i == 0 ? &gp_table_baseline : i == 1 ? &gp_table_v3 : &gp_table_v4;
}
#else
int gp_n_tables(void) { return 1; }
const gp_table *gp_table_at(int i) {
  (void)i;
  return &gp_table_baseline;
}
#endif

gp_blas gp_blas_table;
int gp_product_way;

void gp_set_blas(void *sgemm, void *dgemm, void *sgemv, void *dgemv) {
  gp_blas_table = (gp_blas){(gp_sgemm)sgemm, (gp_dgemm)dgemm, (gp_sgemv)sgemv, (gp_dgemv)dgemv};
}
