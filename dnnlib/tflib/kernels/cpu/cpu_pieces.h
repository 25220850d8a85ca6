// The inner loops of bias_act_cpu.cc: what is done with n consecutive numbers.
#ifndef STYLEGAN2_KERNELS_CPU_CPU_PIECES_H_
#define STYLEGAN2_KERNELS_CPU_CPU_PIECES_H_

#include "cpu/cpu_math.h"

#include "activations.h"  // needs cpu_math.h

namespace stylegan2 {
namespace {

struct Affine {         // z = x * mul_of[i] * mul + add_of[i] + add
  const float* mul_of;  // NULL: ones
  const float* add_of;  // NULL: zeros
  float mul, add;
};

template <class T>
void apply_affine(const Affine& a, const T* x, int64_t n, float* __restrict z) {
  const float mul = a.mul, add = a.add;
  const float *mul_of = a.mul_of, *add_of = a.add_of;
  if (mul_of && add_of) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) z[i] = to_float(x[i]) * mul_of[i] * mul + (add_of[i] + add);
  } else if (mul_of) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) z[i] = to_float(x[i]) * mul_of[i] * mul + add;
  } else if (add_of) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) z[i] = to_float(x[i]) * mul + (add_of[i] + add);
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) z[i] = to_float(x[i]) * mul + add;
  }
}

// Where the numbers of the next piece are, `size` bytes each. They are asked of memory while this
// piece is worked on; else each piece would begin with waiting for them.
struct Ahead {
  const char *read, *also_read;
  char* write;
  int64_t size;
};

typedef void (*curve_fn)(const float* z, const float* ref, const sg_bias_act_spec& spec, int64_t n,
                         const Ahead& ahead, float* out);

SG_INLINE Floats load(const float* from) {
  Floats numbers;
  memcpy(&numbers, from, sizeof(numbers));
  return numbers;
}

SG_INLINE Floats load(const bfloat16* from) {
#ifdef __AVX512F__
  const __m512i words =
      _mm512_maskz_cvtepu16_epi32(0xffff, _mm256_loadu_si256((const __m256i*)from));
  return (Floats)((Words)words << 16);
#else
  float numbers[kLanes];
  for (int i = 0; i < kLanes; i++) numbers[i] = to_float(from[i]);
  return load(numbers);
#endif
}

SG_INLINE void store(Floats numbers, float* to) { memcpy(to, &numbers, sizeof(numbers)); }

// n < kLanes numbers; the others are 0.
SG_INLINE Floats load_part(const float* from, int64_t n) {
  float numbers[kLanes] = {0};
  for (int64_t i = 0; i < n; i++) numbers[i] = from[i];
  return load(numbers);
}

template <int kAct, int kGrad>
void curve_piece(const float* z, const float* ref, const sg_bias_act_spec& spec, int64_t n,
                 const Ahead& next, float* out) {
  const Ahead ahead = next;
  const float alpha = spec.alpha, gain = spec.gain, inv_gain = inverse_gain(spec);
  if (kGrad == 0 || kAct == SG_LINEAR) ref = z;  // not looked at
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    __builtin_prefetch(ahead.read + i * ahead.size);
    __builtin_prefetch(ahead.also_read + i * ahead.size);
    __builtin_prefetch(ahead.write + i * ahead.size, 1);
    store(curve<kAct, kGrad>(load(z + i), load(ref + i), alpha, gain, inv_gain), out + i);
  }
  if (i == n) return;
  const Floats zs = load_part(z + i, n - i), refs = load_part(ref + i, n - i);
  const Floats last = curve<kAct, kGrad>(zs, refs, alpha, gain, inv_gain);
  for (int64_t j = 0; i + j < n; j++) out[i + j] = last[j];
}

template <int kGrad>
curve_fn curve_of(int act) {
  static const curve_fn table[] = {NULL,
                                   curve_piece<SG_LINEAR, kGrad>,
                                   curve_piece<SG_RELU, kGrad>,
                                   curve_piece<SG_LRELU, kGrad>,
                                   curve_piece<SG_TANH, kGrad>,
                                   curve_piece<SG_SIGMOID, kGrad>,
                                   curve_piece<SG_ELU, kGrad>,
                                   curve_piece<SG_SELU, kGrad>,
                                   curve_piece<SG_SOFTPLUS, kGrad>,
                                   curve_piece<SG_SWISH, kGrad>};
  return table[act];
}

// Sums of u and of ux = u * x, each to an array, number by number, and to one total. NULL: not
// wanted.
struct RowSums {
  float *u, *ux;  // the arrays: u[i] += u_i, ux[i] += ux_i * factor
  float factor;
  float *u_total, *ux_total;  // += the sum of u_i, and of ux_i * weights[i]
  const float* weights;       // NULL: ones

  bool wants_x() const { return ux || ux_total; }
};

SG_INLINE float total_of(Floats numbers) {
  float sums[kLanes];
  memcpy(sums, &numbers, sizeof(sums));
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; j++) sums[j] += sums[j + width];
  }
  return sums[0];
}

// One step of row_sums, for kLanes numbers.
template <bool kOnes, class T>
SG_INLINE void add_floats(const RowSums& to, const float* u, const T* x, int64_t i, Floats* u_total,
                          Floats* ux_total) {
  Floats uxs = {0};
  if (!kOnes) {
    const Floats us = load(u + i);
    if (to.u) store(load(to.u + i) + us, to.u + i);
    *u_total += us;
    if (!x) return;
    uxs = us * load(x + i);
  } else {
    uxs = load(x + i);
  }
  if (to.ux) store(load(to.ux + i) + uxs * to.factor, to.ux + i);
  if (to.ux_total) *ux_total += to.weights ? uxs * load(to.weights + i) : uxs;
}

// Adds n numbers u (kOnes: ones, whose own sums are not wanted) and u * x (if there is x) to the
// sums. ahead: where the next numbers x are.
template <bool kOnes, class T>
void row_sums(const RowSums& sums, const float* u, const T* x, const T* ahead, int64_t n) {
  const RowSums to = sums;
  Floats u_total[2] = {{0}, {0}}, ux_total[2] = {{0}, {0}};  // two chains of additions are faster
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    __builtin_prefetch(ahead + i);
    if (sizeof(T) == sizeof(float)) __builtin_prefetch(ahead + i + kLanes);
    add_floats<kOnes>(to, u, x, i, &u_total[0], &ux_total[0]);
    add_floats<kOnes>(to, u, x, i + kLanes, &u_total[1], &ux_total[1]);
  }
  if (i + kLanes <= n) {
    add_floats<kOnes>(to, u, x, i, &u_total[0], &ux_total[0]);
    i += kLanes;
  }
  float u_rest = 0, ux_rest = 0;
  for (; i < n; i++) {
    const float u_i = kOnes ? 1.0f : u[i], ux_i = x ? u_i * to_float(x[i]) : 0.0f;
    if (to.u) to.u[i] += u_i;
    if (to.ux) to.ux[i] += ux_i * to.factor;
    u_rest += u_i;
    ux_rest += to.weights ? ux_i * to.weights[i] : ux_i;
  }
  if (to.u_total) *to.u_total += total_of(u_total[0] + u_total[1]) + u_rest;
  if (to.ux_total) *to.ux_total += total_of(ux_total[0] + ux_total[1]) + ux_rest;
}

}  // namespace
}  // namespace stylegan2
#endif
