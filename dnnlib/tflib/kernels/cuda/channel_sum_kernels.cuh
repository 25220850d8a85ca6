// The CUDA kernels of channel_sum.
#ifndef STYLEGAN2_KERNELS_CUDA_CHANNEL_SUM_KERNELS_CUH_
#define STYLEGAN2_KERNELS_CUDA_CHANNEL_SUM_KERNELS_CUH_

#include "cuda/bias_act_kernels.cuh"

namespace stylegan2 {
namespace {

// m = sum over channels of x * style, channels first: a block does kWarp * kVec pixels, its warps
// take turns with the channels.
template <class T, int kVec, class Index>
__global__ void sum_channels_first(View view, const T* x, const float* style, float* m) {
  __shared__ float shared[kWarps][kWarp][kVec];
  const Index rows = static_cast<Index>(view.rows), columns = static_cast<Index>(view.columns);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const Index groups = (columns + kWarp * kVec - 1) / (kWarp * kVec);
  const Index batch = static_cast<Index>(blockIdx.x) / groups;
  const Index group = static_cast<Index>(blockIdx.x) - batch * groups;
  const Index column = (group * kWarp + lane) * kVec;
  const Index sample = batch / static_cast<Index>(view.batches_per_sample);
  const T* image = x + batch * rows * columns + column;
  float total[kVec] = {0};
  for (Index first = warp; first < rows && column < columns; first += kWarps * kAhead) {
    float seen[kAhead][kVec];
#pragma unroll
    for (int k = 0; k < kAhead; k++) {
      const Index row = first + k * kWarps;
      if (row < rows) load<T, kVec>(image + row * columns, seen[k]);
    }
#pragma unroll
    for (int k = 0; k < kAhead; k++) {
      const Index row = first + k * kWarps;
      if (row >= rows) continue;
      const float weight = style ? style[sample * rows + row] : 1.0f;
#pragma unroll
      for (int i = 0; i < kVec; i++) total[i] += seen[k][i] * weight;
    }
  }
#pragma unroll
  for (int i = 0; i < kVec; i++) shared[warp][lane][i] = total[i];
  __syncthreads();
  if (warp > 0 || column >= columns) return;
  for (int i = 0; i < kVec; i++) {
    float sum = 0.0f;
    for (int w = 0; w < kWarps; w++) sum += shared[w][lane][i];
    m[batch * columns + column + i] = sum;
  }
}

// The same, channels last: so many threads a pixel, a power of two up to kWarp.
template <class T, int kVec, class Index>
__global__ void sum_channels_last(View view, int lanes, const T* x, const float* style, float* m) {
  const Index rows = static_cast<Index>(view.rows), columns = static_cast<Index>(view.columns);
  const Index pixel =
      static_cast<Index>(blockIdx.x) * (kThreads / lanes) + static_cast<int>(threadIdx.x) / lanes;
  const int lane = threadIdx.x % lanes;
  const bool inside = pixel < static_cast<Index>(view.batch) * rows;
  const float* weights = style && inside ? style + pixel / rows * columns : NULL;
  float total = 0.0f;
#pragma unroll 4
  for (Index column = lane * kVec; inside && column < columns; column += lanes * kVec) {
    float seen[kVec], weight[kVec];
    load<T, kVec>(x + pixel * columns + column, seen);
    if (weights) load_floats<kVec>(weights + column, false, weight);
#pragma unroll
    for (int i = 0; i < kVec; i++) total += weights ? seen[i] * weight[i] : seen[i];
  }
  total = warp_sum(total, lanes);
  if (inside && lane == 0) m[pixel] = total;
}

}  // namespace
}  // namespace stylegan2
#endif
