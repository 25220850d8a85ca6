// The inner loops of upfirdn_2d_cpu.cc: weighted sums of rows of numbers.
//
// Rows of bfloat16 are best read as pairs (`Halves`): the sums of the first halves and those of the
// second ones then go to different places, and are put together at the very end.
#ifndef STYLEGAN2_KERNELS_CPU_FIR_H_
#define STYLEGAN2_KERNELS_CPU_FIR_H_

#include <algorithm>

#include "cpu_types.h"

namespace stylegan2 {
namespace {

// `count` segments of n consecutive numbers; the halves of the sums are half_stride apart.
struct Segments {
  int64_t count, n, in_stride, out_stride, half_stride;
};

// out[half][s, i] (+)= sum_t weights[t] * in[t][s, i]
template <class T, int kTaps, bool kAdd>
void fir(const T* const* in, const float* weights, const Segments& segments, float* out) {
  const int kHalves = Halves<T>::kCount;
  float w[kTaps + 1];
  for (int t = 0; t < kTaps; t++) w[t] = weights[t];
  for (int64_t s = 0; s < segments.count; s++) {
    const T* row[kTaps + 1];
    for (int t = 0; t < kTaps; t++) row[t] = in[t] + s * segments.in_stride;
    float* first = out + s * segments.out_stride;
    float* second = first + (kHalves - 1) * segments.half_stride;
#pragma GCC ivdep
    for (int64_t i = 0; i < segments.n; i++) {
      float sum0 = kAdd ? first[i] : 0.0f, sum1 = kAdd ? second[i] : 0.0f;
#pragma GCC unroll 8
      for (int t = 0; t < kTaps; t++) {
        sum0 += w[t] * half_of(row[t][i], 0);
        if (kHalves > 1) sum1 += w[t] * half_of(row[t][i], 1);
      }
      first[i] = sum0;
      if (kHalves > 1) second[i] = sum1;
    }
  }
}

// The same for any number of taps.
template <class T>
void any_fir(const T* const* in, const float* weights, int taps, bool add, Segments segments,
             float* out) {
  typedef void (*Function)(const T* const*, const float*, const Segments&, float*);
  static const Function table[2][9] = {
      {fir<T, 0, false>, fir<T, 1, false>, fir<T, 2, false>, fir<T, 3, false>, fir<T, 4, false>,
       fir<T, 5, false>, fir<T, 6, false>, fir<T, 7, false>, fir<T, 8, false>},
      {fir<T, 0, true>, fir<T, 1, true>, fir<T, 2, true>, fir<T, 3, true>, fir<T, 4, true>,
       fir<T, 5, true>, fir<T, 6, true>, fir<T, 7, true>, fir<T, 8, true>}};
  if (segments.n == segments.in_stride && segments.n == segments.out_stride) {
    segments.n *= segments.count;
    segments.count = 1;
  }
  do {
    const int now = std::min(taps, 8);
    table[add][now](in, weights, segments, out);
    in += now;
    weights += now;
    taps -= now;
    add = true;
  } while (taps > 0);
}

// Two rows of sums at once, of which the second starts kShift inputs later; one segment.
template <class T, int kTaps, int kShift>
void fir_pair(const T* const* in, const float* weights0, const float* weights1, int64_t n,
              int64_t half_stride, float* out0, float* out1) {
  const int kHalves = Halves<T>::kCount;
  float w0[kTaps], w1[kTaps];
  const T* row[kTaps + kShift];
  for (int t = 0; t < kTaps; t++) w0[t] = weights0[t], w1[t] = weights1[t];
  for (int t = 0; t < kTaps + kShift; t++) row[t] = in[t];
  float* second0 = out0 + (kHalves - 1) * half_stride;
  float* second1 = out1 + (kHalves - 1) * half_stride;
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) {
    float a0 = 0.0f, a1 = 0.0f, b0 = 0.0f, b1 = 0.0f;
#pragma GCC unroll 8
    for (int t = 0; t < kTaps; t++) {
      a0 += w0[t] * half_of(row[t][i], 0);
      a1 += w1[t] * half_of(row[t + kShift][i], 0);
      if (kHalves > 1) {
        b0 += w0[t] * half_of(row[t][i], 1);
        b1 += w1[t] * half_of(row[t + kShift][i], 1);
      }
    }
    out0[i] = a0;
    out1[i] = a1;
    if (kHalves > 1) {
      second0[i] = b0;
      second1[i] = b1;
    }
  }
}

// Copies pixels of n numbers each: to[i * to_stride] = from[i * from_stride].
void copy_pixels(const float* from, int64_t from_stride, float* to, int64_t to_stride,
                 int64_t pixels, int64_t n) {
  if (n == 1) {
#pragma GCC ivdep
    for (int64_t i = 0; i < pixels; i++) to[i * to_stride] = from[i * from_stride];
    return;
  }
  for (int64_t i = 0; i < pixels; i++) {
    for (int64_t c = 0; c < n; c++) to[i * to_stride + c] = from[i * from_stride + c];
  }
}

}  // namespace
}  // namespace stylegan2
#endif
