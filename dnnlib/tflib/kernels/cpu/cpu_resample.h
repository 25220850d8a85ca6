// The resampling of StyleGAN2: separable filters of 4 x 4 taps that keep the size, double it or
// halve it. What cpu_resample_pixels.h and cpu_resample_planes.h share.
//
// Both make two rows of the result at once, from rows of x that the two mostly have in common.
#ifndef STYLEGAN2_KERNELS_CPU_CPU_RESAMPLE_H_
#define STYLEGAN2_KERNELS_CPU_CPU_RESAMPLE_H_

#include <atomic>

#include "cpu/cpu_memory.h"
#include "cpu/cpu_types.h"
#include "upfirdn_2d.h"

namespace stylegan2 {
namespace {

struct Resampling {
  sg_upfirdn_2d_spec spec;
  int64_t out_h, out_w;
  const void* x;
  void* y;
  float taps_y[4], taps_x[4];  // flipped: the first meets the first pixel
  int64_t pairs;               // of rows of y, per image
  std::atomic<int> status;
};

// What the filter meets, in one direction.
template <int kUp, int kDown>
struct Reach {
  enum {
    kTaps = 4 / kUp,                // those that meet a pixel of x, not a zero
    kShift = kUp == 2 ? 0 : kDown,  // from one row of y to the next, in rows of x
    kRows = kTaps + kShift,         // of x, for two rows of y
    kNew = kDown,
    kKept = kTaps - kNew,  // pixels of x: new with a step; from earlier ones
    kMade = kUp            // pixels of y, per step
  };
};

inline bool resamples_by_4_taps(const sg_upfirdn_2d_spec& s) {
  return s.taps_x == 4 && s.taps_y == 4 && s.up_x == s.up_y && s.down_x == s.down_y &&
         s.up_x * s.down_x <= 2;
}

// The first row or column of y to be made, 0 or -1. Between the zeros of an upsampled x, the first
// of two neighbours starts at a zero: then both meet the same pixels.
inline int64_t first_output(int up, int pad0) { return up == 2 && pad0 % 2 == 0 ? -1 : 0; }

// The first pixel of x that the filter meets for that output; with it there is no remainder.
inline int64_t first_input(int up, int down, int pad0, int64_t output) {
  return up == 2 ? (output - pad0 + 1) / 2 : output * down - pad0;
}

// Tap t of those that meet pixels, for number i of two neighbours in y.
template <int kUp>
inline int tap_of(int i, int t) {
  return kUp == 2 ? 1 - i + 2 * t : t;
}

}  // namespace
}  // namespace stylegan2
#endif
