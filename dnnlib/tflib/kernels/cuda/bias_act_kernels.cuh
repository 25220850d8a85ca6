// The CUDA kernels of bias_act_cuda.cu.
#ifndef STYLEGAN2_KERNELS_CUDA_BIAS_ACT_KERNELS_CUH_
#define STYLEGAN2_KERNELS_CUDA_BIAS_ACT_KERNELS_CUH_

#include "cuda/cuda_tuning.cuh"
#include "cuda/cuda_types.h"

namespace stylegan2 {
SG_INLINE float exp_(float x) { return expf(x); }
SG_INLINE float expm1_(float x) { return expm1f(x); }
SG_INLINE float log1p_(float x) { return log1pf(x); }
}  // namespace stylegan2

#include "activations.h"

namespace stylegan2 {
namespace {

const int kWarp = 32;
const int kWarps = kThreads / kWarp;

// Images as [batch, rows, columns]. Channels last: a batch is a sample, a row a pixel, a column a
// channel. Else a batch is an outer index, a row a channel, a column a pixel.
struct View {
  int64_t batch, rows, columns;
  bool channels_last;
  int64_t batches_per_sample;
};

template <class T>
struct Job {
  sg_bias_act_spec spec;
  View view;
  float inv_gain;
  int grad;
  const T* x;      // what becomes z: x or, in the backward pass, dy; NULL: ones
  const T* ref;    // of the derivative
  const T* z_x;    // not NULL: the reference is z, made from this x with bias and shift
  const T* sum_x;  // the factor of the sums for style and scale
  const float *bias, *style, *scale, *shift;
  T* y;
};

// gain * act(z), or z times a derivative. kSimple: only linear, relu and lrelu, not swish.
template <bool kSimple>
SG_INLINE float any_curve(const sg_bias_act_spec& s, int grad, float inv_gain, float z, float ref) {
#define SG_CASE(act)                                                      \
  case act:                                                               \
    return grad == 0   ? curve<act, 0>(z, ref, s.alpha, s.gain, inv_gain) \
           : grad == 1 ? curve<act, 1>(z, ref, s.alpha, s.gain, inv_gain) \
                       : curve<act, 2>(z, ref, s.alpha, s.gain, inv_gain);
  if (kSimple) {
    switch (s.act) {
      SG_CASE(SG_RELU)
      SG_CASE(SG_LRELU)
      default: SG_CASE(SG_LINEAR)
    }
  }
  switch (s.act) {
    SG_CASE(SG_TANH)
    SG_CASE(SG_SIGMOID)
    SG_CASE(SG_ELU)
    SG_CASE(SG_SELU)
    SG_CASE(SG_SOFTPLUS)
    default: SG_CASE(SG_SWISH)
  }
#undef SG_CASE
}

// The results for kVec columns from (batch, row, column) on, before `slope`, what z is multiplied
// with, is applied; with_slope applies it.
template <class T, int kVec, bool kSimple, class Index>
SG_INLINE void evaluate(const Job<T>& job, Index batch, Index row, Index column, bool with_slope,
                        float* out, float* slope) {
  const View& view = job.view;
  const Index columns = static_cast<Index>(view.columns), rows = static_cast<Index>(view.rows);
  const Index at = (batch * rows + row) * columns + column;
  const Index sample = batch / static_cast<Index>(view.batches_per_sample);
  float z[kVec], ref[kVec], z_x[kVec];
  if (job.x) load<T, kVec>(job.x + at, z);
  if (job.ref) load<T, kVec>(job.ref + at, ref);
  if (job.z_x) load<T, kVec>(job.z_x + at, z_x);
#pragma unroll
  for (int i = 0; i < kVec; i++) {
    const Index channel = view.channels_last ? column + i : row;
    const Index pixel = view.channels_last ? batch * rows + row : batch * columns + column + i;
    const Index channels = static_cast<Index>(job.spec.channels);
    float factor = 1.0f, summand = 0.0f;
    if (job.style) factor *= job.style[sample * channels + channel];
    if (job.scale) factor *= job.scale[pixel];
    if (job.bias) summand += job.bias[channel];
    if (job.shift) summand += job.shift[pixel];
    float value = job.x ? z[i] : 1.0f;
    if (with_slope) value *= factor;
    if (job.z_x) {
      ref[i] = z_x[i] * factor + summand;
    } else {
      value += summand;
    }
    if (!job.ref && !job.z_x) ref[i] = 0.0f;
    out[i] = any_curve<kSimple>(job.spec, job.grad, job.inv_gain, value, ref[i]);
    slope[i] = factor;
  }
}

// One thread per kVec numbers.
template <class T, int kVec, bool kSimple, class Index>
__global__ void elementwise(Job<T> job, Index vectors_per_row, Index total) {
  const Index vector = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (vector >= total) return;
  const Index flat_row = vector / vectors_per_row;
  const Index column = (vector - flat_row * vectors_per_row) * kVec;
  const Index batch = flat_row / static_cast<Index>(job.view.rows);
  const Index row = flat_row - batch * static_cast<Index>(job.view.rows);
  float out[kVec], slope[kVec];
  evaluate<T, kVec, kSimple, Index>(job, batch, row, column, true, out, slope);
  store<T, kVec>(out, job.y + vector * kVec);
}

// u, what the sums for style and scale are made of, and dx on the way if it is wanted.
template <class T, int kVec, bool kSimple>
SG_INLINE void gradients(const Job<T>& job, int64_t batch, int64_t row, int64_t column,
                         bool with_ux, float* u, float* ux) {
  float slope[kVec], dx[kVec];
  const int64_t at = (batch * job.view.rows + row) * job.view.columns + column;
  evaluate<T, kVec, kSimple, int64_t>(job, batch, row, column, false, u, slope);
  if (with_ux) load<T, kVec>(job.sum_x + at, ux);
#pragma unroll
  for (int i = 0; i < kVec; i++) {
    dx[i] = u[i] * slope[i];
    ux[i] = with_ux ? ux[i] * u[i] : 0.0f;
  }
  if (job.y) store<T, kVec>(dx, job.y + at);
}

// Sums over `chunk` columns of each row, one warp each: sum_u = sum u and sum_ux = sum u x weight,
// weight one per column: [batch, columns] where the columns are pixels, else [samples, columns].
// Results: [batch, rows, chunks].
template <class T, int kVec, bool kSimple>
__global__ void sum_rows(Job<T> job, int64_t chunk, int64_t chunks, const float* weight,
                         float* sum_u, float* sum_ux) {
  const int64_t warp = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const View& view = job.view;
  if (warp >= view.batch * view.rows * chunks) return;
  const int64_t batch = warp / chunks / view.rows, row = warp / chunks % view.rows;
  const int64_t begin = warp % chunks * chunk;
  const int64_t end = begin + chunk < view.columns ? begin + chunk : view.columns;
  const float* weights = weight ? weight + batch * view.columns : NULL;
  float total_u = 0.0f, total_ux = 0.0f;
  for (int64_t column = begin + lane * kVec; column < end; column += kWarp * kVec) {
    float u[kVec], ux[kVec];
    gradients<T, kVec, kSimple>(job, batch, row, column, sum_ux != NULL, u, ux);
#pragma unroll
    for (int i = 0; i < kVec; i++) {
      total_u += u[i];
      total_ux += weights ? ux[i] * weights[column + i] : ux[i];
    }
  }
  for (int step = kWarp / 2; step > 0; step /= 2) {
    total_u += __shfl_xor_sync(0xffffffffu, total_u, step);
    total_ux += __shfl_xor_sync(0xffffffffu, total_ux, step);
  }
  if (lane == 0) {
    if (sum_u) sum_u[warp] = total_u;
    if (sum_ux) sum_ux[warp] = total_ux;
  }
}

// Sums over `chunk` rows of each column; a block does kWarp * kVec columns, its warps take turns.
// weight: one per row: [samples, rows] where the rows are channels, else [batch, rows].
// Results: [batch, chunks, columns].
template <class T, int kVec, bool kSimple>
__global__ void sum_columns(Job<T> job, int64_t chunk, int64_t chunks, const float* weight,
                            float* sum_u, float* sum_ux) {
  __shared__ float shared[2][kWarps][kWarp][kVec];
  const View& view = job.view;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t groups = (view.columns + kWarp * kVec - 1) / (kWarp * kVec);
  const int64_t column = (blockIdx.x % groups * kWarp + lane) * kVec;
  const int64_t part = blockIdx.x / groups, batch = part / chunks;
  const int64_t begin = part % chunks * chunk;
  const int64_t end = begin + chunk < view.rows ? begin + chunk : view.rows;
  const int64_t weight_batch = view.channels_last ? batch : batch / view.batches_per_sample;
  const float* weights = weight ? weight + weight_batch * view.rows : NULL;
  float total_u[kVec] = {0}, total_ux[kVec] = {0};
  for (int64_t row = begin + warp; row < end && column < view.columns; row += kWarps) {
    float u[kVec], ux[kVec];
    gradients<T, kVec, kSimple>(job, batch, row, column, sum_ux != NULL, u, ux);
#pragma unroll
    for (int i = 0; i < kVec; i++) {
      total_u[i] += u[i];
      total_ux[i] += weights ? ux[i] * weights[row] : ux[i];
    }
  }
#pragma unroll
  for (int i = 0; i < kVec; i++) {
    shared[0][warp][lane][i] = total_u[i];
    shared[1][warp][lane][i] = total_ux[i];
  }
  __syncthreads();
  if (warp > 0 || column >= view.columns) return;
  for (int i = 0; i < kVec; i++) {
    float u = 0.0f, ux = 0.0f;
    for (int w = 0; w < kWarps; w++) {
      u += shared[0][w][lane][i];
      ux += shared[1][w][lane][i];
    }
    if (sum_u) sum_u[part * view.columns + column + i] = u;
    if (sum_ux) sum_ux[part * view.columns + column + i] = ux;
  }
}

// out[group, channel] = sum of partials [group, outer, channel, inner]; one warp per result.
__global__ void add_partials(const float* partials, int64_t groups, int64_t outer, int64_t channels,
                             int64_t inner, float* out) {
  const int64_t warp = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  if (warp >= groups * channels) return;
  const int64_t group = warp / channels, channel = warp % channels;
  float total = 0.0f;
  for (int64_t i = lane; i < outer * inner; i += kWarp) {
    const int64_t o = i / inner;
    total += partials[((group * outer + o) * channels + channel) * inner + i - o * inner];
  }
  for (int step = kWarp / 2; step > 0; step /= 2) {
    total += __shfl_xor_sync(0xffffffffu, total, step);
  }
  if (lane == 0) out[warp] = total;
}

}  // namespace
}  // namespace stylegan2
#endif
