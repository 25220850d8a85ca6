// As much of CUDA as the kernels use, for a plain C++ compiler: threads of a block are coroutines.
//
// Blocks run one after the other, and so do the threads of a block, each until it waits for the
// others of its block or warp. So the kernels' own source computes on machines without a GPU.
#ifndef STYLEGAN2_KERNELS_CUDA_CUDA_ON_HOST_H_
#define STYLEGAN2_KERNELS_CUDA_CUDA_ON_HOST_H_

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <functional>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static  // one block at a time

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

static dim3 blockIdx, threadIdx;

struct alignas(8) uint2 {
  uint32_t x, y;
};

struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

enum { cudaSuccess = 0 };
static inline int cudaGetLastError() { return cudaSuccess; }

namespace host {

enum State { kRuns, kWaitsForWarp, kWaitsForBlock, kEnded };

struct Thread {
  ucontext_t context;
  std::vector<char> stack;
  State state;
  float offered;  // to the other threads of its warp
};

struct Block {
  std::vector<Thread> threads;
  ucontext_t scheduler;
  unsigned current;
  std::function<void()> kernel;
};

static Block block;

static inline void enter() {
  block.kernel();
  block.threads[block.current].state = kEnded;
}

static inline void wait(State state) {
  Thread& thread = block.threads[block.current];
  thread.state = state;
  swapcontext(&thread.context, &block.scheduler);
}

// Lets threads [begin, end) go on if all that have not ended wait in this state.
static inline void release(unsigned begin, unsigned end, State state) {
  for (unsigned i = begin; i < end; i++) {
    const State now = block.threads[i].state;
    if (now != state && now != kEnded) return;
  }
  for (unsigned i = begin; i < end; i++) {
    if (block.threads[i].state == state) block.threads[i].state = kRuns;
  }
}

static inline bool step() {
  const unsigned n = block.threads.size();
  bool any = false;
  for (unsigned i = 0; i < n; i++) {
    Thread& thread = block.threads[i];
    if (thread.state != kRuns) continue;
    any = true;
    block.current = i;
    threadIdx = dim3(i);
    swapcontext(&block.scheduler, &thread.context);
  }
  for (unsigned i = 0; i < n; i += 32) release(i, i + 32 < n ? i + 32 : n, kWaitsForWarp);
  release(0, n, kWaitsForBlock);
  return any;
}

static inline void launch(unsigned blocks, unsigned threads, std::function<void()> kernel) {
  block.kernel = kernel;
  block.threads.resize(threads);
  for (unsigned b = 0; b < blocks; b++) {
    blockIdx = dim3(b);
    for (Thread& thread : block.threads) {
      thread.stack.resize(32768);
      thread.state = kRuns;
      getcontext(&thread.context);
      thread.context.uc_stack.ss_sp = thread.stack.data();
      thread.context.uc_stack.ss_size = thread.stack.size();
      thread.context.uc_link = &block.scheduler;
      makecontext(&thread.context, enter, 0);
    }
    while (step()) {
    }
  }
}

}  // namespace host

#define SG_LAUNCH(kernel, blocks, threads, stream, ...) \
  ((void)(stream), host::launch(blocks, threads, [&] { (kernel)(__VA_ARGS__); }))

static inline void __syncthreads() { host::wait(host::kWaitsForBlock); }

static inline float __shfl_xor_sync(unsigned, float value, int lane_mask) {
  const unsigned self = host::block.current;
  host::block.threads[self].offered = value;
  host::wait(host::kWaitsForWarp);
  const float result = host::block.threads[self ^ lane_mask].offered;
  host::wait(host::kWaitsForWarp);
  return result;
}

struct __half {
  uint16_t bits;
};

struct __nv_bfloat16 {
  uint16_t bits;
};

static inline float float_from(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static inline uint32_t bits_from(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

static inline float __bfloat162float(__nv_bfloat16 value) {
  return float_from(uint32_t(value.bits) << 16);
}

static inline __nv_bfloat16 __float2bfloat16_rn(float value) {
  const uint32_t bits = bits_from(value);
  if (value != value) return {0x7fff};
  return {uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

static inline float __half2float(__half value) {
  const int exponent = value.bits >> 10 & 31, fraction = value.bits & 1023;
  float size = ldexpf(exponent ? 1024 + fraction : fraction, exponent ? exponent - 25 : -24);
  if (exponent == 31) size = fraction ? NAN : INFINITY;
  return value.bits >> 15 ? -size : size;
}

static inline __half __float2half_rn(float value) {
  const uint16_t sign = bits_from(value) >> 16 & 0x8000;
  const float size = fabsf(value);
  if (size != size) return {0x7fff};
  if (size >= 65520.0f) return {uint16_t(sign | 0x7c00)};
  if (size < 6.103515625e-05f) return {uint16_t(sign | uint16_t(rintf(size * 16777216.0f)))};
  const uint32_t bits = bits_from(size) - (112u << 23);
  return {uint16_t(sign | (bits + 0xfff + (bits >> 13 & 1)) >> 13)};
}

#endif
