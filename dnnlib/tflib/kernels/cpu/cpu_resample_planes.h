// cpu_resample.h for images of one channel: NCHW, where the pixels of a row are neighbours.
//
// Two sums of rows of x, with zeros on both sides, lie in the first cache; the rows of the result
// are made from these.
#ifndef STYLEGAN2_KERNELS_CPU_CPU_RESAMPLE_PLANES_H_
#define STYLEGAN2_KERNELS_CPU_CPU_RESAMPLE_PLANES_H_

#include <algorithm>

#include "cpu/cpu_fir.h"
#include "cpu/cpu_resample.h"
#include "cpu/cpu_tuning.h"

namespace stylegan2 {
namespace {

inline int64_t whole_blocks(int64_t columns) {
  return (columns + kColumns - 1) / kColumns * kColumns;
}

// Columns [low, high) of x become [at, at + high - low) of the sums.
struct PlaneScratch {
  int64_t low, high, at;
  float* sums[2];  // begin with the pixel that the first column of y meets first
  float* target;   // a row of y in float32
  const void* zeros;
};

// fir_pair in whole blocks, which takes a fraction of the time; the last may overlap.
template <class T, int kTaps, int kShift>
void add_row_pair_in_blocks(const T* const* rows, const float (*weights)[4], int64_t n,
                            float* sums0, float* sums1) {
  const int64_t whole = n < kColumns ? n : n / kColumns * kColumns;
  fir_pair<T, kTaps, kShift>(rows, weights[0], weights[1], whole, sums0, sums1);
  if (whole == n) return;
  const T* last[kTaps + kShift];
  for (int t = 0; t < kTaps + kShift; t++) last[t] = rows[t] + n - kColumns;
  fir_pair<T, kTaps, kShift>(last, weights[0], weights[1], kColumns, sums0 + n - kColumns,
                             sums1 + n - kColumns);
}

// Columns of a row of y.
template <int kUp, int kDown>
void filter_sums(const float* sums, const float* taps, int pad0, int64_t columns, float* y) {
  const float w0 = taps[0], w1 = taps[1], w2 = taps[2], w3 = taps[3];
  if (kUp == 1) {
#pragma GCC ivdep
    for (int64_t i = 0; i < columns; i++) {
      const float* in = sums + i * kDown;
      y[i] = w0 * in[0] + w1 * in[1] + w2 * in[2] + w3 * in[3];
    }
    return;
  }
  // Even columns meet taps 0 and 2 where the padding is even, else 1 and 3.
  const bool odd = pad0 & 1;
  const float a0 = odd ? w1 : w0, a1 = odd ? w3 : w2, b0 = odd ? w0 : w1, b1 = odd ? w2 : w3;
  const float* next = sums + (odd ? 0 : 1);
#pragma GCC ivdep
  for (int64_t i = 0; i < columns / 2; i++) {
    y[2 * i] = a0 * sums[i] + a1 * sums[i + 1];
    y[2 * i + 1] = b0 * next[i] + b1 * next[i + 1];
  }
}

inline void put(const float* from, int64_t n, float* to) {
  if (from != to) memcpy(to, from, n * sizeof(float));
}

inline void put(const float* from, int64_t n, bfloat16* to) { finish_target(to, from, n); }

template <class T, int kUp, int kDown>
void make_plane_rows(const Resampling& job, const float (*weights)[4], int64_t image, int64_t oy,
                     const PlaneScratch& scratch) {
  typedef Reach<kUp, kDown> R;
  const sg_upfirdn_2d_spec& s = job.spec;
  const int64_t iy = first_input(kUp, kDown, s.pad_y0, oy);
  const T* x = static_cast<const T*>(job.x) + image * s.in_h * s.in_w + scratch.low;
  const T* rows[R::kRows];
  for (int i = 0; i < R::kRows; i++) {
    const bool exists = iy + i >= 0 && iy + i < s.in_h;
    rows[i] = exists ? x + (iy + i) * s.in_w : static_cast<const T*>(scratch.zeros);
  }
  add_row_pair_in_blocks<T, R::kTaps, R::kShift>(rows, weights, scratch.high - scratch.low,
                                                 scratch.sums[0] + scratch.at,
                                                 scratch.sums[1] + scratch.at);
  T* y = static_cast<T*>(job.y) + image * job.out_h * job.out_w;
  for (int64_t i = std::max<int64_t>(-oy, 0); i < 2 && oy + i < job.out_h; i++) {
    T* row = y + (oy + i) * job.out_w;
    const int64_t columns = whole_blocks(job.out_w);
    float* target = columns == job.out_w ? float_target(row, scratch.target) : scratch.target;
    filter_sums<kUp, kDown>(scratch.sums[i], job.taps_x, s.pad_x0, columns, target);
    put(target, job.out_w, row);
    const T* later = row + 2 * job.out_w;  // what is fetched now need not be waited for then
    for (int64_t j = 0; j < job.out_w; j += 64 / sizeof(T)) __builtin_prefetch(later + j, 1);
  }
}

template <class T, int kUp, int kDown>
void resample_planes(void* arg, int64_t begin, int64_t end) {
  Resampling& job = *static_cast<Resampling*>(arg);
  const sg_upfirdn_2d_spec& s = job.spec;
  const int64_t first = -((s.pad_x0 - (s.pad_x0 & (kUp - 1))) / kUp);
  const int64_t columns = whole_blocks(job.out_w), target = columns * sizeof(float);
  const int64_t width = columns * kDown / kUp + 4, line = whole_lines(width * sizeof(float));
  const Zeros memory(2 * line + target + whole_lines(s.in_w * sizeof(T)));
  if (!memory.bytes()) {
    job.status = SG_OUT_OF_MEMORY;
    return;
  }
  PlaneScratch scratch;
  scratch.low = std::min(std::max<int64_t>(first, 0), s.in_w);
  scratch.high = std::max(std::min(s.in_w, first + width), scratch.low);
  scratch.at = scratch.low < scratch.high ? scratch.low - first : 0;
  scratch.sums[0] = reinterpret_cast<float*>(memory.bytes());
  scratch.sums[1] = reinterpret_cast<float*>(memory.bytes() + line);
  scratch.target = reinterpret_cast<float*>(memory.bytes() + 2 * line);
  scratch.zeros = memory.bytes() + 2 * line + target;
  float weights[2][4];
  for (int i = 0; i < 2; i++) {
    for (int t = 0; t < 4 / kUp; t++) weights[i][t] = job.taps_y[tap_of<kUp>(i, t)];
  }
  const int64_t oy = first_output(kUp, s.pad_y0);
  for (int64_t unit = begin; unit < end; unit++) {
    make_plane_rows<T, kUp, kDown>(job, weights, unit / job.pairs, oy + unit % job.pairs * 2,
                                   scratch);
  }
}

}  // namespace
}  // namespace stylegan2
#endif
