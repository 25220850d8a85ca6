// Registers the ops with TensorFlow, and the CPU kernels for them. They work in TensorFlow's own
// threads.
#include "tensorflow/core/framework/op.h"
#include "tf_ops.h"
#include "tf_parallel.h"

namespace stylegan2 {

REGISTER_OP("FusedBiasAct")
    .Input("x: T")
    .Input("bias: float")
    .Input("style: float")
    .Input("scale: float")
    .Input("shift: float")
    .Input("ref: T")
    .Output("y: T")
    .Attr("T: {float, half, bfloat16}")
    .Attr("axis: int")
    .Attr("act: int")
    .Attr("grad: int = 0")
    .Attr("alpha: float")
    .Attr("gain: float")
    .Doc("y = gain * act(z), gain * act'(.) * z or gain * act''(.) * z; see bias_act.h");

REGISTER_OP("FusedBiasActGrad")
    .Input("dy: T")
    .Input("x: T")
    .Input("bias: float")
    .Input("style: float")
    .Input("scale: float")
    .Input("shift: float")
    .Input("ref: T")
    .Output("dx: T")
    .Output("dbias: float")
    .Output("dstyle: float")
    .Output("dscale: float")
    .Output("dshift: float")
    .Attr("T: {float, half, bfloat16}")
    .Attr("axis: int")
    .Attr("act: int")
    .Attr("alpha: float")
    .Attr("gain: float")
    .Attr("wanted: list(bool)")
    .Doc("All gradients of y = gain * act(z); see bias_act.h");

REGISTER_OP("ChannelSum")
    .Input("x: T")
    .Input("style: float")
    .Output("m: float")
    .Attr("T: {float, half, bfloat16}")
    .Attr("axis: int")
    .Doc("m = sum of x * style over the channels; see bias_act.h");

REGISTER_OP("UpFirDn2D")
    .Input("x: T")
    .Input("k: float")
    .Output("y: T")
    .Attr("T: {float, half, bfloat16}")
    .Attr("up: list(int)")
    .Attr("down: list(int)")
    .Attr("pad: list(int)")
    .Attr("data_format: {'NHWC', 'NCHW'}")
    .Doc("Upsample, pad, filter and downsample; see upfirdn_2d.h");

// Calls the CPU kernels with TensorFlow's thread pool.
struct Cpu {
  static constexpr bool kWorksInPlace = true;

  static int bias_act(OpKernelContext* context, const sg_bias_act_spec& spec,
                      const sg_bias_act_inputs& inputs, int grad, const void* ref, void* y) {
    return sg_bias_act_cpu(&spec, &inputs, grad, ref, y, parallel_for, pool(context));
  }

  static int64_t bias_act_workspace(const sg_bias_act_spec& spec, const sg_bias_act_grads& out) {
    return sg_bias_act_workspace_cpu(&spec, &out);
  }

  static int bias_act_backward(OpKernelContext* context, const sg_bias_act_spec& spec,
                               const sg_bias_act_inputs& inputs, const void* dy, const void* ref,
                               const sg_bias_act_grads& out, void* workspace) {
    return sg_bias_act_backward_cpu(&spec, &inputs, dy, ref, &out, workspace, parallel_for,
                                    pool(context));
  }

  static int channel_sum(OpKernelContext* context, const sg_bias_act_spec& spec, const void* x,
                         const float* style, float* m) {
    return sg_channel_sum_cpu(&spec, x, style, m, parallel_for, pool(context));
  }

  static int upfirdn_2d(OpKernelContext* context, const sg_upfirdn_2d_spec& spec, const void* x,
                        const float* k, void* y) {
    return sg_upfirdn_2d_cpu(&spec, x, k, y, parallel_for, pool(context));
  }

 private:
  static tensorflow::thread::ThreadPool* pool(OpKernelContext* context) {
    return context->device()->tensorflow_cpu_worker_threads()->workers;
  }
};

REGISTER_STYLEGAN2_KERNELS(Cpu, tensorflow::DEVICE_CPU, float);
REGISTER_STYLEGAN2_KERNELS(Cpu, tensorflow::DEVICE_CPU, tensorflow::bfloat16);

}  // namespace stylegan2
