// Number types, vectors of them and kernel launches for the CUDA kernels.
#ifndef STYLEGAN2_KERNELS_CUDA_CUDA_TYPES_H_
#define STYLEGAN2_KERNELS_CUDA_CUDA_TYPES_H_

#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
// kernel: in parentheses where it is a template.
#define SG_LAUNCH(kernel, blocks, threads, stream, ...) \
  kernel<<<dim3(blocks), threads, 0, static_cast<cudaStream_t>(stream)>>>(__VA_ARGS__)
#else
#include "cuda/cuda_on_host.h"  // the same for a plain C++ compiler: tests
#endif

#include "parallel.h"

#define SG_INLINE static __device__ __forceinline__
#define SG_MEMBER __device__ __forceinline__
#define SG_BOTH static __host__ __device__ inline

namespace stylegan2 {

SG_INLINE float to_float(float value) { return value; }
SG_INLINE float to_float(__half value) { return __half2float(value); }
SG_INLINE float to_float(__nv_bfloat16 value) { return __bfloat162float(value); }

SG_INLINE void from_float(float value, float* result) { *result = value; }
SG_INLINE void from_float(float value, __half* result) { *result = __float2half_rn(value); }
SG_INLINE void from_float(float value, __nv_bfloat16* result) {
  *result = __float2bfloat16_rn(value);
}

// So many bytes, read and written by one instruction, which is not certain of a struct of half
// floats.
template <int bytes>
struct Word;
template <>
struct Word<2> {
  typedef uint16_t type;
};
template <>
struct Word<4> {
  typedef uint32_t type;
};
template <>
struct Word<8> {
  typedef uint2 type;
};
template <>
struct Word<16> {
  typedef uint4 type;
};

// n consecutive numbers, aligned to their size.
template <class T, int n>
SG_INLINE void load(const T* from, float* to) {
  typedef typename Word<n * sizeof(T)>::type Bits;
  const Bits bits = *reinterpret_cast<const Bits*>(from);
  T numbers[n];
  memcpy(numbers, &bits, sizeof(bits));
#pragma unroll
  for (int i = 0; i < n; i++) to[i] = to_float(numbers[i]);
}

template <class T, int n>
SG_INLINE void store(const float* from, T* to) {
  typedef typename Word<n * sizeof(T)>::type Bits;
  T numbers[n];
#pragma unroll
  for (int i = 0; i < n; i++) from_float(from[i], &numbers[i]);
  Bits bits;
  memcpy(&bits, numbers, sizeof(bits));
  *reinterpret_cast<Bits*>(to) = bits;
}

SG_BOTH bool is_aligned(const void* pointer, int bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % bytes == 0;
}

inline int launch_status() { return cudaGetLastError() == cudaSuccess ? SG_OK : SG_LAUNCH_FAILED; }

}  // namespace stylegan2
#endif
