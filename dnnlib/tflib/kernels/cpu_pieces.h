// The inner loops of bias_act_cpu.cc: what is done with n consecutive numbers.
#ifndef STYLEGAN2_KERNELS_CPU_PIECES_H_
#define STYLEGAN2_KERNELS_CPU_PIECES_H_

#include "cpu_math.h"

#include "activations.h"  // needs cpu_math.h

namespace stylegan2 {
namespace {

const int kLanes = 16;
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));

struct Affine {  // z = x * mul_of[i] * mul + add_of[i] + add
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

typedef void (*curve_fn)(const float* z, const float* ref, const sg_bias_act_spec& spec, int64_t n,
                         float* out);

template <int kAct, int kGrad>
void curve_piece(const float* z, const float* ref, const sg_bias_act_spec& spec, int64_t n,
                 float* out) {
  const float alpha = spec.alpha, gain = spec.gain, inv_gain = inverse_gain(spec);
  if (kGrad == 0 || kAct == SG_LINEAR) ref = z;  // not looked at
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) {
    out[i] = curve<kAct, kGrad>(z[i], ref[i], alpha, gain, inv_gain);
  }
}

template <int kGrad>
curve_fn curve_of(int act) {
  static const curve_fn table[] = {
      NULL, curve_piece<SG_LINEAR, kGrad>, curve_piece<SG_RELU, kGrad>,
      curve_piece<SG_LRELU, kGrad>, curve_piece<SG_TANH, kGrad>, curve_piece<SG_SIGMOID, kGrad>,
      curve_piece<SG_ELU, kGrad>, curve_piece<SG_SELU, kGrad>, curve_piece<SG_SOFTPLUS, kGrad>,
      curve_piece<SG_SWISH, kGrad>};
  return table[act];
}

void add_to(float* __restrict sums, const float* __restrict x, float factor, int64_t n) {
  for (int64_t i = 0; i < n; i++) sums[i] += x[i] * factor;
}

// Sum of x * factors (NULL: ones) in 32 parallel chains.
float weighted_sum(const float* x, const float* factors, int64_t n) {
  Lanes chains[2] = {{0}, {0}};
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    for (int j = 0; j < 2; j++) {
      Lanes now, factor;
      memcpy(&now, x + i + j * kLanes, sizeof(now));
      if (factors) {
        memcpy(&factor, factors + i + j * kLanes, sizeof(factor));
        now *= factor;
      }
      chains[j] += now;
    }
  }
  float sums[2 * kLanes];
  memcpy(sums, chains, sizeof(sums));
  for (int j = 0; i < n; i++, j++) sums[j] += factors ? x[i] * factors[i] : x[i];
  for (int width = kLanes; width > 0; width /= 2) {
    for (int j = 0; j < width; j++) sums[j] += sums[j + width];
  }
  return sums[0];
}

}  // namespace
}  // namespace stylegan2
#endif
