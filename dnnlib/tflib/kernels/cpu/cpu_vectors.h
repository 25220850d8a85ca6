// Vectors of float32 as wide as this processor's registers, and how float32 and bfloat16 images
// are read into them and written from them. For compilers with GCC's vector types; little-endian.
#ifndef STYLEGAN2_KERNELS_CPU_CPU_VECTORS_H_
#define STYLEGAN2_KERNELS_CPU_CPU_VECTORS_H_

#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "cpu/cpu_types.h"

namespace stylegan2 {
namespace {

#if defined(__AVX512F__)
enum { kVectorBytes = 64, kCanStream = 1 };
#elif defined(__AVX__)
enum { kVectorBytes = 32, kCanStream = 0 };
#else
enum { kVectorBytes = 16, kCanStream = 0 };
#endif
enum { kLanes = kVectorBytes / 4 };

typedef float Floats __attribute__((vector_size(kVectorBytes)));
typedef uint32_t Words __attribute__((vector_size(kVectorBytes)));

// A register of numbers of type T, as float32. Those of bfloat16 are sorted into the even and the
// odd ones, which takes fewer steps than to keep them in order.
template <class T>
struct Wide {
  enum { kParts = sizeof(float) / sizeof(T), kCount = kParts * kLanes };
  Floats part[kParts];
};

inline void load(const float* from, Wide<float>* to) { memcpy(to, from, kVectorBytes); }

inline void load(const bfloat16* from, Wide<bfloat16>* to) {
  Words pairs;
  memcpy(&pairs, from, kVectorBytes);
  to->part[0] = (Floats)(pairs << 16);
  to->part[1] = (Floats)(pairs & 0xffff0000u);
}

// Writes a register. kStream: to memory, past the caches, if kCanStream; `to` is aligned.
template <bool kStream>
inline void write(const Words& from, void* to) {
#ifdef __AVX512F__
  if (kStream) return _mm512_stream_si512(static_cast<__m512i*>(to), (__m512i)from);
#endif
  memcpy(to, &from, kVectorBytes);
}

// Ends a series of streaming writes: others may read them.
inline void finish_streams() {
#ifdef __AVX512F__
  _mm_sfence();
#endif
}

template <bool kStream>
inline void store(const Wide<float>& from, float* to) {
  write<kStream>((Words)from.part[0], to);
}

// The bits of numbers rounded to bfloat16, in the upper halves; see from_float.
inline Words rounded(Floats value) {
  const Words bits = (Words)value;
  const Words up = bits + 0x7fffu + ((bits >> 16) & 1u);
  return (bits & 0x7fffffffu) > 0x7f800000u ? bits | 0x400000u : up;
}

// As in finish_target, denormal numbers may become 0.
template <bool kStream>
inline void store(const Wide<bfloat16>& from, bfloat16* to) {
#if defined(__AVX512BF16__) && defined(__AVX512BW__)
  const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh((__m512)from.part[1], (__m512)from.part[0]);
  const __m512i order = _mm512_set_epi32(0x1f000f, 0x1e000e, 0x1d000d, 0x1c000c, 0x1b000b, 0x1a000a,
                                         0x190009, 0x180008, 0x170007, 0x160006, 0x150005, 0x140004,
                                         0x130003, 0x120002, 0x110001, 0x100000);
  const Words pairs = (Words)_mm512_permutexvar_epi16(order, halves);
#else
  const Words pairs = rounded(from.part[0]) >> 16 | (rounded(from.part[1]) & 0xffff0000u);
#endif
  write<kStream>(pairs, to);
}

// sum_t weights[t] * in[t]
template <class T, int kCount>
inline Wide<T> weighted_sum(const Wide<T>* in, const Floats* weights) {
  Wide<T> sum;
  for (int p = 0; p < Wide<T>::kParts; p++) sum.part[p] = weights[0] * in[0].part[p];
#pragma GCC unroll 8
  for (int t = 1; t < kCount; t++) {
    for (int p = 0; p < Wide<T>::kParts; p++) sum.part[p] += weights[t] * in[t].part[p];
  }
  return sum;
}

}  // namespace
}  // namespace stylegan2
#endif
