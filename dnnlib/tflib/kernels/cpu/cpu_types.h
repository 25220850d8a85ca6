// float32 and bfloat16 on CPUs, in forms that compilers vectorize.
#ifndef STYLEGAN2_KERNELS_CPU_CPU_TYPES_H_
#define STYLEGAN2_KERNELS_CPU_CPU_TYPES_H_

#include <stdint.h>
#include <string.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace stylegan2 {

typedef uint16_t bfloat16;  // the upper half of a float32

inline float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

inline uint32_t bits_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

inline float to_float(float value) { return value; }
inline float to_float(bfloat16 value) { return float_of_bits(static_cast<uint32_t>(value) << 16); }

inline void from_float(float value, float* result) { *result = value; }

// Rounds to nearest, ties to even; NaN stays NaN.
inline void from_float(float value, bfloat16* result) {
  const uint32_t bits = bits_of_float(value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const uint32_t nan = (bits >> 16) | 0x40u;
  *result = static_cast<bfloat16>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

// n numbers as float32: those of x themselves, or converted into `buffer`.
inline const float* as_floats(const float* x, int64_t, float*) { return x; }

inline const float* as_floats(const bfloat16* x, int64_t n, float* buffer) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) buffer[i] = to_float(x[i]);
  return buffer;
}

// Where to write n float32 numbers that end up in y, and the step that puts them there.
inline float* float_target(float* y, float*) { return y; }
inline float* float_target(bfloat16*, float* buffer) { return buffer; }

inline void finish_target(float*, const float*, int64_t) {}

inline void finish_target(bfloat16* y, const float* buffer, int64_t n) {
#ifdef __AVX512BF16__  // one instruction instead of ten; it makes denormal numbers 0
  for (int64_t i = 0; i < n; i += 16) {
    const __mmask16 mask = n - i >= 16 ? 0xffff : (1u << (n - i)) - 1;
    const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, buffer + i));
    _mm256_mask_storeu_epi16(y + i, mask, (__m256i)rounded);
  }
#else
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) from_float(buffer[i], &y[i]);
#endif
}

}  // namespace stylegan2
#endif
