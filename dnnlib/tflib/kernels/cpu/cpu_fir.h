// What upfirdn_2d_cpu.cc is made of: weighted sums of rows of numbers, for any number of taps, and
// which pixels and taps meet along one axis.
#ifndef STYLEGAN2_KERNELS_CPU_CPU_FIR_H_
#define STYLEGAN2_KERNELS_CPU_CPU_FIR_H_

#include <algorithm>

#include "cpu/cpu_types.h"

namespace stylegan2 {
namespace {

// `count` segments of n consecutive numbers.
struct Segments {
  int64_t count, n, in_stride, out_stride;
};

// out[s, i] (+)= sum_t weights[t] * in[t][s, i]
template <class T, int kTaps, bool kAdd>
void fir(const T* const* in, const float* weights, const Segments& segments, float* out) {
  float w[kTaps + 1];
  for (int t = 0; t < kTaps; t++) w[t] = weights[t];
  for (int64_t s = 0; s < segments.count; s++) {
    const T* row[kTaps + 1];
    for (int t = 0; t < kTaps; t++) row[t] = in[t] + s * segments.in_stride;
    float* target = out + s * segments.out_stride;
#pragma GCC ivdep
    for (int64_t i = 0; i < segments.n; i++) {
      float sum = kAdd ? target[i] : 0.0f;
#pragma GCC unroll 8
      for (int t = 0; t < kTaps; t++) sum += w[t] * to_float(row[t][i]);
      target[i] = sum;
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

// Two rows of sums at once, of which the second starts kShift inputs later.
template <class T, int kTaps, int kShift>
void fir_pair(const T* const* in, const float* weights0, const float* weights1, int64_t n,
              float* out0, float* out1) {
  float w0[kTaps], w1[kTaps];
  const T* row[kTaps + kShift];
  for (int t = 0; t < kTaps; t++) w0[t] = weights0[t], w1[t] = weights1[t];
  for (int t = 0; t < kTaps + kShift; t++) row[t] = in[t];
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) {
    float sum0 = 0.0f, sum1 = 0.0f;
#pragma GCC unroll 8
    for (int t = 0; t < kTaps; t++) {
      sum0 += w0[t] * to_float(row[t][i]);
      sum1 += w1[t] * to_float(row[t + kShift][i]);
    }
    out0[i] = sum0;
    out1[i] = sum1;
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

struct Axis {
  int64_t in, out;
  int taps, up, down, pad0;
};

// What makes output o: inputs first, first + 1, ... times the taps step, step + up, ...
struct Support {
  int64_t first;
  int step, count;
};

inline Support support_of(const Axis& axis, int64_t o) {
  const int64_t start = o * axis.down - axis.pad0;  // of the filter, in upsampled pixels
  const int step = static_cast<int>(((-start) % axis.up + axis.up) % axis.up);
  const int count = step < axis.taps ? (axis.taps - step + axis.up - 1) / axis.up : 0;
  return Support{(start + step) / axis.up, step, count};
}

// Outputs [begin, end), and the inputs [low, high) they need.
struct Piece {
  int64_t begin, end, low, high;
};

inline Piece piece_at(const Axis& axis, int64_t first, int64_t count) {
  Piece piece = {first, std::min(first + count, axis.out), 0, 0};
  const int64_t start = first * axis.down - axis.pad0;
  const int64_t stop = (piece.end - 1) * axis.down - axis.pad0 + axis.taps - 1;
  piece.low = start >= 0 ? start / axis.up : -((-start + axis.up - 1) / axis.up);
  piece.high = std::max(stop >= 0 ? stop / axis.up + 1 : 0, piece.low);
  return piece;
}

}  // namespace
}  // namespace stylegan2
#endif
