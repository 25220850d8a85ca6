// Exponential functions for CPUs without branches and tables, so that compilers vectorize them.
// Errors: some units in the last place.
#ifndef STYLEGAN2_KERNELS_CPU_MATH_H_
#define STYLEGAN2_KERNELS_CPU_MATH_H_

#include "cpu_types.h"

#define SG_INLINE static inline __attribute__((always_inline))

namespace stylegan2 {

// e^x = 2^n * e^r with |r| <= ln(2) / 2, and a Taylor polynomial for e^r; no branches.
SG_INLINE float exp_(float x) {
  const float shifter = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  x = x < -87.0f ? -87.0f : x > 88.3f ? 88.3f : x;
  const float shifted = x * 1.44269504f + shifter;
  const float n = shifted - shifter;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * float_of_bits((bits_of_float(shifted) - bits_of_float(shifter) + 127) << 23);
}

SG_INLINE float expm1_(float x) {
  float p = 1.0f / 40320;
  p = p * x + 1.0f / 5040;
  p = p * x + 1.0f / 720;
  p = p * x + 1.0f / 120;
  p = p * x + 1.0f / 24;
  p = p * x + 1.0f / 6;
  p = p * x + 0.5f;
  p = p * x + 1.0f;
  const float small = p * x, large = exp_(x) - 1.0f;
  return x > -0.5f && x < 0.5f ? small : large;
}

// 2 * atanh(x / (x + 2)), as a series; x from 0 to 1.
SG_INLINE float log1p_(float x) {
  const float s = x / (x + 2.0f), s2 = s * s;
  float p = 1.0f / 17;
  p = p * s2 + 1.0f / 15;
  p = p * s2 + 1.0f / 13;
  p = p * s2 + 1.0f / 11;
  p = p * s2 + 1.0f / 9;
  p = p * s2 + 1.0f / 7;
  p = p * s2 + 1.0f / 5;
  p = p * s2 + 1.0f / 3;
  p = p * s2 + 1.0f;
  return 2.0f * s * p;
}

}  // namespace stylegan2
#endif
