// Upsample, pad or crop, filter and downsample images, in one pass; C interface.
//
//   y[o] = sum_t k[t] * u[o * down + taps - 1 - t - pad0]   per axis,
//
// where u is x with up - 1 zeros after every pixel, and zero outside. The gradient is the same
// operation with the filter flipped, up and down exchanged, and pads
// (taps - pad0 - 1, in * up - out * down + pad0 - up + 1).
// The same input gives the same bits on any number of threads.
#ifndef STYLEGAN2_KERNELS_UPFIRDN_2D_H_
#define STYLEGAN2_KERNELS_UPFIRDN_2D_H_

#include "parallel.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SG_MAX_TAPS = 32 };  // per axis

typedef struct sg_upfirdn_2d_spec {
  int64_t major, in_h, in_w, minor;        // NHWC: N and C. NCHW: N * C and 1.
  int32_t taps_y, taps_x;                  // size of the filter, 1 to SG_MAX_TAPS
  int32_t up_y, up_x, down_y, down_x;      // at least 1
  int32_t pad_y0, pad_y1, pad_x0, pad_x1;  // in upsampled pixels; negative: crop
  int32_t dtype;                           // sg_dtype of x and y
} sg_upfirdn_2d_spec;

// Height or width of the result; below 1: there is none.
static inline int64_t sg_upfirdn_size(int64_t in, int32_t up, int32_t down, int32_t pad0,
                                      int32_t pad1, int32_t taps) {
  const int64_t room = in * up + pad0 + pad1 - taps;
  return room < 0 ? 0 : room / down + 1;
}

// Checks a spec and computes the size of its result; 0: it makes no sense or there is no result.
static inline int sg_upfirdn_2d_output(const sg_upfirdn_2d_spec* spec, int64_t* out_h,
                                       int64_t* out_w) {
  const sg_upfirdn_2d_spec s = *spec;
  if (s.major < 0 || s.in_h < 0 || s.in_w < 0 || s.minor < 0 || s.up_y < 1 || s.up_x < 1 ||
      s.down_y < 1 || s.down_x < 1 || s.taps_y < 1 || s.taps_x < 1 || s.taps_y > SG_MAX_TAPS ||
      s.taps_x > SG_MAX_TAPS) {
    return 0;
  }
  *out_h = sg_upfirdn_size(s.in_h, s.up_y, s.down_y, s.pad_y0, s.pad_y1, s.taps_y);
  *out_w = sg_upfirdn_size(s.in_w, s.up_x, s.down_x, s.pad_x0, s.pad_x1, s.taps_x);
  return *out_h >= 1 && *out_w >= 1;
}

// x: [major, in_h, in_w, minor], y: [major, out_h, out_w, minor], k: float32 [taps_y, taps_x], used
// as it is. All lie on the device that works. CPU: SG_FLOAT32 and SG_BFLOAT16.
int sg_upfirdn_2d_cpu(const sg_upfirdn_2d_spec* spec, const void* x, const float* k, void* y,
                      sg_parallel_for parallel_for, void* pool);
int sg_upfirdn_2d_cuda(const sg_upfirdn_2d_spec* spec, const void* x, const float* k, void* y,
                       void* stream);

#ifdef __cplusplus
}
#endif
#endif
