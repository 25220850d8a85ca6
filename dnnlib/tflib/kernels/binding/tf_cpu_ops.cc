// Registers the ops with TensorFlow, and the CPU kernels for them. They work in TensorFlow's own
// threads.
#include <string.h>

#include "binding/tf_ops.h"
#include "binding/tf_parallel.h"
#include "tensorflow/core/framework/op.h"
#include "winograd.h"

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

REGISTER_OP("Winograd")
    .Input("x: float")
    .Output("planes: float")
    .Attr("matrix: int")
    .Attr("pad: int")
    .Attr("tiles: list(int)")
    .Doc("The planes of an image's tiles; see winograd.h");

REGISTER_OP("WinogradAdjoint")
    .Input("planes: float")
    .Output("x: float")
    .Attr("matrix: int")
    .Attr("pad: int")
    .Attr("tiles: list(int)")
    .Attr("size: list(int)")
    .Doc("The image that planes add up to; see winograd.h");

tensorflow::thread::ThreadPool* pool(OpKernelContext* context) {
  return context->device()->tensorflow_cpu_worker_threads()->workers;
}

// Calls the CPU kernels with TensorFlow's thread pool.
struct Cpu {
  static constexpr bool kWorksInPlace = true;

  static void set_zero(OpKernelContext*, void* data, size_t bytes) { memset(data, 0, bytes); }

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
};

// x -> planes, or planes -> x; tiles: [rows, columns], size: [height, width] of x.
template <bool kAdjoint>
class WinogradOp : public tensorflow::OpKernel {
 public:
  explicit WinogradOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("matrix", &spec_.matrix));
    OP_REQUIRES_OK(context, context->GetAttr("pad", &spec_.pad));
    OP_REQUIRES_OK(context, context->GetAttr("tiles", &tiles_));
    if (kAdjoint) OP_REQUIRES_OK(context, context->GetAttr("size", &size_));
    OP_REQUIRES(context, tiles_.size() == 2 && size_.size() == (kAdjoint ? 2 : 0),
                tensorflow::errors::InvalidArgument("tiles has two numbers, and so has size"));
    planes_ = sg_winograd_planes(spec_.matrix) * sg_winograd_planes(spec_.matrix);
    OP_REQUIRES(context, planes_ > 0 && std::min(tiles_[0], tiles_[1]) > 0,
                tensorflow::errors::InvalidArgument("matrix is 0 to 3, and tiles are above 0"));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& from = context->input(0);
    sg_winograd_spec spec = spec_;
    spec.tile_rows = tiles_[0];
    spec.tile_columns = tiles_[1];
    const int64_t tiles = spec.tile_rows * spec.tile_columns;
    OP_REQUIRES(
        context,
        kAdjoint ? from.dims() == 3 && from.dim_size(0) == planes_ && from.dim_size(1) % tiles == 0
                 : from.dims() == 4,
        tensorflow::errors::InvalidArgument("x has rank 4, and planes hold all tiles"));
    spec.images = kAdjoint ? from.dim_size(1) / tiles : from.dim_size(0);
    spec.height = kAdjoint ? size_[0] : from.dim_size(1);
    spec.width = kAdjoint ? size_[1] : from.dim_size(2);
    spec.channels = from.dim_size(kAdjoint ? 2 : 3);
    Tensor* to = nullptr;
    OP_REQUIRES_OK(context,
                   context->allocate_output(
                       0,
                       kAdjoint ? TensorShape({spec.images, spec.height, spec.width, spec.channels})
                                : TensorShape({planes_, spec.images * tiles, spec.channels}),
                       &to));
    if (to->NumElements() == 0) return;
    const auto transform = kAdjoint ? sg_winograd_adjoint_cpu : sg_winograd_cpu;
    check_status(
        context,
        transform(&spec, data_of<float>(from), data_of<float>(*to), parallel_for, pool(context)),
        "Winograd");
  }

 private:
  sg_winograd_spec spec_;
  int64_t planes_ = 0;
  std::vector<int> tiles_, size_;
};

REGISTER_KERNEL_BUILDER(Name("Winograd").Device(tensorflow::DEVICE_CPU), WinogradOp<false>);
REGISTER_KERNEL_BUILDER(Name("WinogradAdjoint").Device(tensorflow::DEVICE_CPU), WinogradOp<true>);

REGISTER_STYLEGAN2_KERNELS(Cpu, tensorflow::DEVICE_CPU, float);
REGISTER_STYLEGAN2_KERNELS(Cpu, tensorflow::DEVICE_CPU, tensorflow::bfloat16);

}  // namespace stylegan2
