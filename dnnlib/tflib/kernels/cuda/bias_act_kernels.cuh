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

template <int kAct, int kGrad, int kVec>
SG_INLINE void curves(const sg_bias_act_spec& s, float inv_gain, const float* z, const float* ref,
                      float* out) {
#pragma unroll
  for (int i = 0; i < kVec; i++) {
    out[i] = curve<kAct, kGrad>(z[i], ref[i], s.alpha, s.gain, inv_gain);
  }
}

// gain * act(z), or z times a derivative. kSimple: only linear, relu and lrelu, not swish. One
// branch for all the numbers of a thread.
template <bool kSimple, int kVec>
SG_INLINE void any_curve(const sg_bias_act_spec& s, int grad, float inv_gain, const float* z,
                         const float* ref, float* out) {
#define SG_CASE(act)                                                    \
  case act:                                                             \
    return grad == 0   ? curves<act, 0, kVec>(s, inv_gain, z, ref, out) \
           : grad == 1 ? curves<act, 1, kVec>(s, inv_gain, z, ref, out) \
                       : curves<act, 2, kVec>(s, inv_gain, z, ref, out);
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

// kVec consecutive numbers or, if `same`, kVec times the one.
template <int kVec>
SG_INLINE void load_floats(const float* from, bool same, float* to) {
  const int kFloats = kVec < 4 ? kVec : 4;
  if (same) {
    const float value = *from;
#pragma unroll
    for (int i = 0; i < kVec; i++) to[i] = value;
  } else {
#pragma unroll
    for (int i = 0; i < kVec; i += kFloats) load<float, kFloats>(from + i, to + i);
  }
}

// style * scale and shift + bias of kVec columns from (batch, row, column) on.
template <class T, int kVec, class Index>
SG_INLINE void load_maps(const Job<T>& job, Index batch, Index row, Index column, float* factor,
                         float* summand) {
  const View& view = job.view;
  const bool last = view.channels_last;
  const Index channel = last ? column : row;
  const Index pixel = last ? batch * static_cast<Index>(view.rows) + row
                           : batch * static_cast<Index>(view.columns) + column;
  float map[kVec];
#pragma unroll
  for (int i = 0; i < kVec; i++) factor[i] = 1.0f, summand[i] = 0.0f;
  if (job.style) {
    const Index sample = batch / static_cast<Index>(view.batches_per_sample);
    const Index channels = static_cast<Index>(job.spec.channels);
    load_floats<kVec>(job.style + sample * channels + channel, !last, factor);
  }
  if (job.scale) {
    load_floats<kVec>(job.scale + pixel, last, map);
#pragma unroll
    for (int i = 0; i < kVec; i++) factor[i] *= map[i];
  }
  if (job.bias) load_floats<kVec>(job.bias + channel, !last, summand);
  if (job.shift) {
    load_floats<kVec>(job.shift + pixel, last, map);
#pragma unroll
    for (int i = 0; i < kVec; i++) summand[i] += map[i];
  }
}

// The results for kVec columns from (batch, row, column) on, before `slope`, what z is multiplied
// with, is applied; with_slope applies it.
template <class T, int kVec, bool kSimple, class Index>
SG_INLINE void evaluate(const Job<T>& job, int grad, Index batch, Index row, Index column,
                        bool with_slope, float* out, float* slope) {
  const Index columns = static_cast<Index>(job.view.columns);
  const Index at = (batch * static_cast<Index>(job.view.rows) + row) * columns + column;
  float z[kVec], ref[kVec] = {0}, summand[kVec];
#pragma unroll
  for (int i = 0; i < kVec; i++) z[i] = 1.0f;
  if (job.x) load<T, kVec>(job.x + at, z);
  if (job.ref) load<T, kVec>(job.ref + at, ref);
  if (job.z_x) load<T, kVec>(job.z_x + at, ref);
  load_maps<T, kVec, Index>(job, batch, row, column, slope, summand);
#pragma unroll
  for (int i = 0; i < kVec; i++) {
    if (with_slope) z[i] *= slope[i];
    if (job.z_x) {
      ref[i] = ref[i] * slope[i] + summand[i];
    } else {
      z[i] += summand[i];
    }
  }
  any_curve<kSimple, kVec>(job.spec, grad, job.inv_gain, z, ref, out);
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
  evaluate<T, kVec, kSimple, Index>(job, job.grad, batch, row, column, true, out, slope);
  store<T, kVec>(out, job.y + vector * kVec);
}

// u, what the sums for style and scale are made of, and dx on the way if it is wanted.
template <class T, int kVec, bool kSimple, class Index>
SG_INLINE void gradients(const Job<T>& job, Index batch, Index row, Index column, bool with_ux,
                         float* u, float* ux) {
  float slope[kVec], dx[kVec];
  const Index rows = static_cast<Index>(job.view.rows);
  const Index at = (batch * rows + row) * static_cast<Index>(job.view.columns) + column;
  evaluate<T, kVec, kSimple, Index>(job, 1, batch, row, column, false, u, slope);
  if (with_ux) load<T, kVec>(job.sum_x + at, ux);
#pragma unroll
  for (int i = 0; i < kVec; i++) {
    dx[i] = u[i] * slope[i];
    ux[i] = with_ux ? ux[i] * u[i] : 0.0f;
  }
  if (job.y) store<T, kVec>(dx, job.y + at);
}

// The sum over each so many threads of a warp, in each of them.
SG_INLINE float warp_sum(float value, int lanes) {
  for (int step = lanes / 2; step > 0; step /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, step);
  }
  return value;
}

// Sums over `chunk` columns of each row, one warp each: sum_u = sum u and sum_ux = sum u x weight,
// weight one per column: [batch, columns] where the columns are pixels, else [samples, columns].
// Results: [batch, rows, chunks].
template <class T, int kVec, bool kSimple, class Index>
__global__ void sum_rows(Job<T> job, Index chunk, Index chunks, const float* weight, float* sum_u,
                         float* sum_ux) {
  const Index warp = static_cast<Index>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const Index rows = static_cast<Index>(job.view.rows);
  const Index columns = static_cast<Index>(job.view.columns);
  if (warp >= static_cast<Index>(job.view.batch) * rows * chunks) return;
  const Index flat_row = warp / chunks, batch = flat_row / rows, row = flat_row - batch * rows;
  const Index begin = (warp - flat_row * chunks) * chunk;
  const Index end = begin + chunk < columns ? begin + chunk : columns;
  const float* weights = weight ? weight + batch * columns : NULL;
  float total_u = 0.0f, total_ux = 0.0f;
  for (Index column = begin + lane * kVec; column < end; column += kWarp * kVec) {
    float u[kVec], ux[kVec], w[kVec];
    gradients<T, kVec, kSimple, Index>(job, batch, row, column, sum_ux != NULL, u, ux);
    if (weights && sum_ux) load_floats<kVec>(weights + column, false, w);
#pragma unroll
    for (int i = 0; i < kVec; i++) {
      total_u += u[i];
      total_ux += weights && sum_ux ? ux[i] * w[i] : ux[i];
    }
  }
  if (sum_u) {
    total_u = warp_sum(total_u, kWarp);
    if (lane == 0) sum_u[warp] = total_u;
  }
  if (sum_ux) {
    total_ux = warp_sum(total_ux, kWarp);
    if (lane == 0) sum_ux[warp] = total_ux;
  }
}

// Sums over `chunk` rows of each column; a block does kWarp * kVec columns, its warps take turns.
// weight: one per row: [samples, rows] where the rows are channels, else [batch, rows].
// Results: [batch, chunks, columns].
template <class T, int kVec, bool kSimple, class Index>
__global__ void sum_columns(Job<T> job, Index chunk, Index chunks, const float* weight,
                            float* sum_u, float* sum_ux) {
  __shared__ float shared[2][kWarps][kWarp][kVec];
  const View& view = job.view;
  const Index rows = static_cast<Index>(view.rows), columns = static_cast<Index>(view.columns);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const Index groups = (columns + kWarp * kVec - 1) / (kWarp * kVec);
  const Index part = static_cast<Index>(blockIdx.x) / groups, batch = part / chunks;
  const Index group = static_cast<Index>(blockIdx.x) - part * groups;
  const Index column = (group * kWarp + lane) * kVec, begin = (part - batch * chunks) * chunk;
  const Index end = begin + chunk < rows ? begin + chunk : rows;
  const Index weight_batch =
      view.channels_last ? batch : batch / static_cast<Index>(view.batches_per_sample);
  const float* weights = weight ? weight + weight_batch * rows : NULL;
  float total_u[kVec] = {0}, total_ux[kVec] = {0};
  for (Index row = begin + warp; row < end && column < columns; row += kWarps) {
    float u[kVec], ux[kVec];
    gradients<T, kVec, kSimple, Index>(job, batch, row, column, sum_ux != NULL, u, ux);
    const float w = weights ? weights[row] : 1.0f;
#pragma unroll
    for (int i = 0; i < kVec; i++) {
      total_u[i] += u[i];
      total_ux[i] += ux[i] * w;
    }
  }
#pragma unroll
  for (int i = 0; i < kVec; i++) {
    shared[0][warp][lane][i] = total_u[i];
    shared[1][warp][lane][i] = total_ux[i];
  }
  __syncthreads();
  if (warp > 0 || column >= columns) return;
  for (int i = 0; i < kVec; i++) {
    float u = 0.0f, ux = 0.0f;
    for (int w = 0; w < kWarps; w++) {
      u += shared[0][w][lane][i];
      ux += shared[1][w][lane][i];
    }
    if (sum_u) sum_u[part * columns + column + i] = u;
    if (sum_ux) sum_ux[part * columns + column + i] = ux;
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
  total = warp_sum(total, kWarp);
  if (lane == 0) out[warp] = total;
}

}  // namespace
}  // namespace stylegan2
#endif
