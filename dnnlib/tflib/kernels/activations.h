// The activation functions and their derivatives, for CPU and CUDA.
//
// The derivatives are functions of r, the activation's result; swish's, of its argument.
// `Real` is a float or a vector of them. The file that includes this one defines SG_INLINE and, in
// namespace stylegan2, exp_, expm1_ and log1p_ (of numbers from 0 to 1) of such; also, of vectors,
// what is defined here of a float.
#ifndef STYLEGAN2_KERNELS_ACTIVATIONS_H_
#define STYLEGAN2_KERNELS_ACTIVATIONS_H_

#include "bias_act.h"

namespace stylegan2 {

// Klambauer et al., "Self-Normalizing Neural Networks", Eq. 2: lambda and lambda * alpha.
#define SG_SELU_SCALE 1.0507009873554805f
#define SG_SELU_LIMIT 1.7580993408473769f

SG_INLINE float at_least(float x, float low) { return x < low ? low : x; }
SG_INLINE float at_most(float x, float high) { return x > high ? high : x; }

template <class Real>
SG_INLINE Real sigmoid_(Real z) {
  return 1.0f / (1.0f + exp_(-z));
}

template <int kAct, class Real>
SG_INLINE Real activation(Real z, float alpha) {
  if (kAct == SG_RELU) return at_least(z, 0.0f);
  if (kAct == SG_LRELU) return z < 0.0f ? z * alpha : z;
  if (kAct == SG_TANH) {
    const Real e = expm1_(2.0f * at_most(z, 44.0f));
    return e / (e + 2.0f);
  }
  if (kAct == SG_SIGMOID) return sigmoid_(z);
  if (kAct == SG_ELU) return z < 0.0f ? expm1_(z) : z;
  if (kAct == SG_SELU) return z < 0.0f ? SG_SELU_LIMIT * expm1_(z) : SG_SELU_SCALE * z;
  if (kAct == SG_SOFTPLUS) return at_least(z, 0.0f) + log1p_(exp_(z < 0.0f ? z : -z));
  if (kAct == SG_SWISH) return at_least(z, -80.0f) * sigmoid_(z);
  return z;
}

template <int kAct, class Real>
SG_INLINE Real derivative(Real r, float alpha) {
  if (kAct == SG_RELU) return r > 0.0f ? 1.0f : 0.0f;
  if (kAct == SG_LRELU) return r > 0.0f ? 1.0f : alpha;
  if (kAct == SG_TANH) return 1.0f - r * r;
  if (kAct == SG_SIGMOID) return r * (1.0f - r);
  if (kAct == SG_ELU) return r < 0.0f ? r + 1.0f : 1.0f;
  if (kAct == SG_SELU) return r < 0.0f ? r + SG_SELU_LIMIT : SG_SELU_SCALE;
  if (kAct == SG_SOFTPLUS) return -expm1_(-r);
  if (kAct == SG_SWISH) {
    const Real z = at_least(r, -80.0f), s = sigmoid_(z);
    return s * (1.0f + z * (1.0f - s));
  }
  return Real() + 1.0f;
}

template <int kAct, class Real>
SG_INLINE Real second_derivative(Real r) {
  if (kAct == SG_TANH) return (1.0f - r * r) * (-2.0f * r);
  if (kAct == SG_SIGMOID) return r * (1.0f - r) * (1.0f - 2.0f * r);
  if (kAct == SG_ELU) return r < 0.0f ? r + 1.0f : 0.0f;
  if (kAct == SG_SELU) return r < 0.0f ? r + SG_SELU_LIMIT : 0.0f;
  if (kAct == SG_SOFTPLUS) return exp_(-r) * -expm1_(-r);
  if (kAct == SG_SWISH) {
    const Real z = at_most(at_least(r, -80.0f), 80.0f), s = sigmoid_(z);
    return s * (1.0f - s) * (2.0f + z * (1.0f - 2.0f * s));
  }
  return Real();
}

// gain * act(z), or z times gain times the first or second derivative. inv_gain: 1 / gain, or 1
// where the reference is not divided by the gain.
template <int kAct, int kGrad, class Real>
SG_INLINE Real curve(Real z, Real ref, float alpha, float gain, float inv_gain) {
  if (kGrad == 0) return gain * activation<kAct>(z, alpha);
  if (kGrad == 1) return gain * z * derivative<kAct>(ref * inv_gain, alpha);
  return gain * z * second_derivative<kAct>(ref * inv_gain);
}

inline float inverse_gain(const sg_bias_act_spec& spec) {
  return spec.act == SG_SWISH || spec.gain == 0 ? 1.0f : 1.0f / spec.gain;
}

// Whether the derivative of a spec's activation needs `ref`, the result of the forward pass.
inline bool needs_result(const sg_bias_act_spec& spec) {
  return spec.act != SG_LINEAR && spec.act != SG_SWISH;
}

inline int check_spec(const sg_bias_act_spec& spec) {
  const bool ok = spec.outer >= 0 && spec.channels >= 0 && spec.inner >= 0 && spec.samples >= 1 &&
                  spec.outer % spec.samples == 0 && spec.act >= SG_LINEAR && spec.act <= SG_SWISH;
  return ok ? SG_OK : SG_BAD_ARGUMENT;
}

}  // namespace stylegan2
#endif
