// Scale, shift, bias, activation function and gain in one pass, with gradients; C interface.
//
//   y = gain * act(z),   z = x * style * scale + shift + bias
//
// Images are seen as [outer, channels, inner], contiguous: NCHW is (N, C, H*W), NHWC (N*H*W, C, 1)
// and [N, C] is (N, C, 1). A "pixel" is one of outer * inner. A "sample" is outer / samples
// consecutive outer indices. All arithmetic is float32; sums are made in a fixed order, so that the
// same input gives the same bits on any number of threads.
#ifndef STYLEGAN2_KERNELS_BIAS_ACT_H_
#define STYLEGAN2_KERNELS_BIAS_ACT_H_

#include "parallel.h"

#ifdef __cplusplus
extern "C" {
#endif

// The numbers of StyleGAN2's FusedBiasAct.
enum sg_act {
  SG_LINEAR = 1,
  SG_RELU = 2,
  SG_LRELU = 3,
  SG_TANH = 4,
  SG_SIGMOID = 5,
  SG_ELU = 6,
  SG_SELU = 7,
  SG_SOFTPLUS = 8,
  SG_SWISH = 9
};

typedef struct sg_bias_act_spec {
  int64_t outer, channels, inner;
  int64_t samples;  // divides outer; matters to style only (1 where there is none)
  int32_t dtype;    // sg_dtype of x, y, ref and their gradients
  int32_t act;      // sg_act
  float alpha;      // slope of SG_LRELU below zero
  float gain;
} sg_bias_act_spec;

// Everything but x may be NULL: absent, that is 0 (bias, shift) or 1 (style, scale).
typedef struct sg_bias_act_inputs {
  const void* x;
  const float* bias;   // [channels]
  const float* style;  // [samples, channels]
  const float* scale;  // [outer * inner]
  const float* shift;  // [outer * inner]
} sg_bias_act_inputs;

// Outputs of the backward pass; NULL: not wanted.
typedef struct sg_bias_act_grads {
  void* dx;       // like x
  float* dbias;   // [channels]
  float* dstyle;  // [samples, channels]
  float* dscale;  // [outer * inner]
  float* dshift;  // [outer * inner]
} sg_bias_act_grads;

// StyleGAN2's FusedBiasAct with its attribute `grad`:
//   0: y = gain * act(z)     1: y = gain * act'(.) * z     2: y = gain * act''(.) * z
// For 1 and 2 the derivative is taken where the forward pass was, as `ref` says: like x, the y of
// the forward pass; for SG_SWISH its z. NULL is allowed for grad 0 and for SG_LINEAR.
// Everything is differentiable by calling it again: y is linear in z, z in each of its inputs.
// y may lie where x or ref does.
int sg_bias_act_cpu(const sg_bias_act_spec* spec, const sg_bias_act_inputs* in, int grad,
                    const void* ref, void* y, sg_parallel_for parallel_for, void* pool);
int sg_bias_act_cuda(const sg_bias_act_spec* spec, const sg_bias_act_inputs* in, int grad,
                     const void* ref, void* y, void* stream);

// First order, with u = dy * gain * act'(.):
//   dx = u * style * scale,  dbias[c] = sum u,  dstyle[n, c] = sum over pixels of u * x * scale,
//   dscale[p] = sum_c u * x * style,  dshift[p] = sum_c u
// in:   style and scale where they were; x only for dstyle, dscale and SG_SWISH; bias and shift
//       only for SG_SWISH, whose z is computed again. What is not needed may be NULL.
// dy:   like x; NULL: all ones. dx may lie where dy does.
// ref:  y of the forward pass; NULL is allowed for SG_LINEAR and SG_SWISH.
// workspace: so many bytes as the function below says, aligned to 16, on the device; NULL for 0.
int sg_bias_act_backward_cpu(const sg_bias_act_spec* spec, const sg_bias_act_inputs* in,
                             const void* dy, const void* ref, const sg_bias_act_grads* out,
                             void* workspace, sg_parallel_for parallel_for, void* pool);
int sg_bias_act_backward_cuda(const sg_bias_act_spec* spec, const sg_bias_act_inputs* in,
                              const void* dy, const void* ref, const sg_bias_act_grads* out,
                              void* workspace, void* stream);
int64_t sg_bias_act_workspace_cpu(const sg_bias_act_spec* spec, const sg_bias_act_grads* out);
int64_t sg_bias_act_workspace_cuda(const sg_bias_act_spec* spec, const sg_bias_act_grads* out);

// m[p] = sum_c x * style, float32; act, alpha and gain of the spec are ignored. The same as dscale
// with dy all ones. Its gradients: dx and dstyle of SG_LINEAR, gain 1, with dy NULL and scale dm.
int sg_channel_sum_cpu(const sg_bias_act_spec* spec, const void* x, const float* style, float* m,
                       sg_parallel_for parallel_for, void* pool);
int sg_channel_sum_cuda(const sg_bias_act_spec* spec, const void* x, const float* style, float* m,
                        void* stream);

#ifdef __cplusplus
}
#endif
#endif
