// Registers the CUDA kernels for the ops that tf_cpu_ops.cc defines; they work in TensorFlow's
// stream.
#define EIGEN_USE_GPU
#include <cuda_runtime_api.h>

#include "binding/tf_ops.h"
#include "unsupported/Eigen/CXX11/Tensor"

namespace stylegan2 {

// Calls the CUDA kernels.
struct Cuda {
  static constexpr bool kWorksInPlace = false;  // its loads may go through the read-only cache

  static void set_zero(OpKernelContext* context, void* data, size_t bytes) {
    cudaMemsetAsync(data, 0, bytes, static_cast<cudaStream_t>(stream(context)));
  }

  static int bias_act(OpKernelContext* context, const sg_bias_act_spec& spec,
                      const sg_bias_act_inputs& inputs, int grad, const void* ref, void* y) {
    return sg_bias_act_cuda(&spec, &inputs, grad, ref, y, stream(context));
  }

  static int64_t bias_act_workspace(const sg_bias_act_spec& spec, const sg_bias_act_grads& out) {
    return sg_bias_act_workspace_cuda(&spec, &out);
  }

  static int bias_act_backward(OpKernelContext* context, const sg_bias_act_spec& spec,
                               const sg_bias_act_inputs& inputs, const void* dy, const void* ref,
                               const sg_bias_act_grads& out, void* workspace) {
    return sg_bias_act_backward_cuda(&spec, &inputs, dy, ref, &out, workspace, stream(context));
  }

  static int channel_sum(OpKernelContext* context, const sg_bias_act_spec& spec, const void* x,
                         const float* style, float* m) {
    return sg_channel_sum_cuda(&spec, x, style, m, stream(context));
  }

  static int upfirdn_2d(OpKernelContext* context, const sg_upfirdn_2d_spec& spec, const void* x,
                        const float* k, void* y) {
    return sg_upfirdn_2d_cuda(&spec, x, k, y, stream(context));
  }

 private:
  static void* stream(OpKernelContext* context) { return context->eigen_gpu_device().stream(); }
};

REGISTER_STYLEGAN2_KERNELS(Cuda, tensorflow::DEVICE_GPU, float);
REGISTER_STYLEGAN2_KERNELS(Cuda, tensorflow::DEVICE_GPU, Eigen::half);
REGISTER_STYLEGAN2_KERNELS(Cuda, tensorflow::DEVICE_GPU, tensorflow::bfloat16);

}  // namespace stylegan2
