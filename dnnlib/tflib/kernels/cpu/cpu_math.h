// Exponential functions for CPUs of several numbers at once, without branches and tables. Errors:
// some units in the last place.
#ifndef STYLEGAN2_KERNELS_CPU_CPU_MATH_H_
#define STYLEGAN2_KERNELS_CPU_CPU_MATH_H_

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "cpu/cpu_vectors.h"

#define SG_INLINE static inline __attribute__((always_inline))

namespace stylegan2 {

// max(x, low) and min(x, high); NaN stays NaN.
#ifdef __AVX512F__
SG_INLINE Floats at_least(Floats x, float low) {
  return (Floats)_mm512_mask_max_ps(x, 0xffff, _mm512_set1_ps(low), x);
}
SG_INLINE Floats at_most(Floats x, float high) {
  return (Floats)_mm512_mask_min_ps(x, 0xffff, _mm512_set1_ps(high), x);
}
#else
SG_INLINE Floats at_least(Floats x, float low) { return x < low ? low : x; }
SG_INLINE Floats at_most(Floats x, float high) { return x > high ? high : x; }
#endif

// e^x = 2^n * e^r with |r| <= ln(2) / 2: returns e^r - 1, by a minimax polynomial for (e^r - 1) / r
// of relative error 1.1e-8, and 2^n in `scale`. x is clamped to what float32 can hold.
SG_INLINE Floats split_exp(Floats x, Floats* scale) {
  const float shifter = 12582912.0f + 127;  // 1.5 * 2^23: adding it rounds to an integer
  x = at_most(at_least(x, -87.0f), 88.3f);
  const Floats shifted = x * 1.44269504f + shifter;
  const Floats n = shifted - shifter;
  const Floats r = (x - n * 0.693359375f) - n * -2.12194440e-4f;  // exact without FMA too
  Floats p = r * 1.39487e-3f + 8.36922e-3f;
  p = p * r + 4.166624e-2f;
  p = p * r + 0.16666505f;
  p = p * r + 0.50000001f;
  p = p * r + 1.00000001f;
  *scale = (Floats)((Words)shifted << 23);  // the exponent: n + 127
  return p * r;
}

SG_INLINE Floats exp_(Floats x) {
  Floats scale;
  const Floats rest = split_exp(x, &scale);
  return rest * scale + scale;
}

SG_INLINE Floats expm1_(Floats x) {
  Floats scale;
  const Floats rest = split_exp(x, &scale);
  return rest * scale + (scale - 1.0f);
}

// By a minimax polynomial for log(1 + x) / x, of relative error 3.0e-8; x from 0 to 1.
SG_INLINE Floats log1p_(Floats x) {
  Floats p = x * 5.23269e-3f - 2.950523e-2f;
  p = p * x + 7.822594e-2f;
  p = p * x - 0.13663245f;
  p = p * x + 0.19106006f;
  p = p * x - 0.24842982f;
  p = p * x + 0.33319097f;
  p = p * x - 0.49999493f;
  p = p * x + 0.99999997f;
  return p * x;
}

}  // namespace stylegan2
#endif
