// How the CPU kernels use several threads: the caller lends its own thread pool.
#ifndef STYLEGAN2_KERNELS_PARALLEL_H_
#define STYLEGAN2_KERNELS_PARALLEL_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Does the work units [begin, end) of the job that `arg` describes.
typedef void (*sg_range_fn)(void* arg, int64_t begin, int64_t end);

// Calls fn(arg, begin, end) for disjoint ranges that together are [0, total), on any threads and in
// any order, and returns when all are done. cost_per_unit: roughly the CPU cycles of one unit.
// The kernels' results do not depend on how the ranges are cut.
typedef void (*sg_parallel_for)(void* pool, int64_t total, int64_t cost_per_unit, sg_range_fn fn,
                                void* arg);

// The same with parallel_for == NULL allowed: all in the calling thread.
static inline void sg_for_each(sg_parallel_for parallel_for, void* pool, int64_t total,
                               int64_t cost_per_unit, sg_range_fn fn, void* arg) {
  if (total <= 0) return;
  if (parallel_for) {
    parallel_for(pool, total, cost_per_unit, fn, arg);
  } else {
    fn(arg, 0, total);
  }
}

// Types of images. Biases, styles, maps and filters are float32 always.
enum sg_dtype { SG_FLOAT32 = 0, SG_FLOAT16 = 1, SG_BFLOAT16 = 2 };  // float16: CUDA only

// What the kernels return.
enum sg_status {
  SG_OK = 0,
  SG_BAD_ARGUMENT = -1,   // a size, a factor or a pointer that makes no sense
  SG_BAD_DTYPE = -2,      // unknown, or not on this device
  SG_OUT_OF_MEMORY = -3,  // no scratch memory
  SG_LAUNCH_FAILED = -4   // the CUDA runtime refused the launch
};

#ifdef __cplusplus
}
#endif
#endif
