// The kernels as TensorFlow ops; `Device` says which kernels and how to call them.
//
// Optional inputs are absent when they are scalars. Shapes and gradients are set in Python: a C++
// shape function would have to be compiled with the compiler of TensorFlow 1.14's wheel.
#ifndef STYLEGAN2_KERNELS_BINDING_TF_OPS_H_
#define STYLEGAN2_KERNELS_BINDING_TF_OPS_H_

#include <algorithm>
#include <string>
#include <vector>

#include "bias_act.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "upfirdn_2d.h"

namespace stylegan2 {

using tensorflow::DataType;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

inline bool is_present(const Tensor& tensor) { return tensor.dims() > 0; }

template <typename T = void>
T* data_of(const Tensor& tensor) {
  return reinterpret_cast<T*>(const_cast<char*>(tensor.tensor_data().data()));
}

template <typename T = void>
T* data_or_null(const Tensor& tensor) {
  return is_present(tensor) ? data_of<T>(tensor) : nullptr;
}

inline int dtype_code(DataType dtype) {
  if (dtype == tensorflow::DT_HALF) return SG_FLOAT16;
  return dtype == tensorflow::DT_BFLOAT16 ? SG_BFLOAT16 : SG_FLOAT32;
}

inline void check_status(OpKernelContext* context, int status, const char* name) {
  OP_REQUIRES(context, status == SG_OK,
              tensorflow::errors::Internal(name, " failed with status ", status));
}

// Makes output 0, where the device allows it in the memory of input 0 if nobody else needs that.
template <typename Device>
tensorflow::Status allocate_over(OpKernelContext* context, const TensorShape& shape,
                                 Tensor** output) {
  if (!Device::kWorksInPlace) return context->allocate_output(0, shape, output);
  return context->forward_input_or_allocate_output({0}, 0, shape, output);
}

// What the ops around bias_act.h have in common: the attributes, and x as [outer, channels, inner].
class BiasActBase : public tensorflow::OpKernel {
 public:
  explicit BiasActBase(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("axis", &axis_));
  }

 protected:
  void get_activation(OpKernelConstruction* context) {
    OP_REQUIRES_OK(context, context->GetAttr("act", &act_));
    OP_REQUIRES_OK(context, context->GetAttr("alpha", &alpha_));
    OP_REQUIRES_OK(context, context->GetAttr("gain", &gain_));
  }

  sg_bias_act_spec make_spec(const TensorShape& shape, DataType dtype) const {
    sg_bias_act_spec spec = {1,    shape.dim_size(axis_), 1, 1, dtype_code(dtype), act_, alpha_,
                             gain_};
    for (int i = 0; i < axis_; ++i) spec.outer *= shape.dim_size(i);
    for (int i = axis_ + 1; i < shape.dims(); ++i) spec.inner *= shape.dim_size(i);
    spec.samples = axis_ > 0 ? std::max<int64_t>(shape.dim_size(0), 1) : 1;
    return spec;
  }

  // Reads the inputs from number `first` on: x, bias, style, scale and shift.
  bool get_inputs(OpKernelContext* context, int first, const sg_bias_act_spec& spec,
                  sg_bias_act_inputs* inputs) const {
    const int64_t pixels = spec.outer * spec.inner;
    const int64_t sizes[] = {pixels * spec.channels, spec.channels, spec.samples * spec.channels,
                             pixels, pixels};
    for (int i = 0; i < 5; ++i) {
      const Tensor& input = context->input(first + i);
      if (is_present(input) && input.NumElements() != sizes[i]) {
        context->CtxFailure(tensorflow::errors::InvalidArgument(name(), ": input ", first + i,
                                                                " has ", input.NumElements(),
                                                                " elements, not ", sizes[i]));
        return false;
      }
    }
    inputs->x = data_or_null(context->input(first));
    inputs->bias = data_or_null<float>(context->input(first + 1));
    inputs->style = data_or_null<float>(context->input(first + 2));
    inputs->scale = data_or_null<float>(context->input(first + 3));
    inputs->shift = data_or_null<float>(context->input(first + 4));
    return true;
  }

  int axis_, act_ = SG_LINEAR;
  float alpha_ = 0, gain_ = 1;
};

// x, bias, style, scale, shift, ref -> y
template <typename Device>
class FusedBiasActOp : public BiasActBase {
 public:
  explicit FusedBiasActOp(OpKernelConstruction* context) : BiasActBase(context) {
    get_activation(context);
    OP_REQUIRES_OK(context, context->GetAttr("grad", &grad_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const sg_bias_act_spec spec = make_spec(x.shape(), x.dtype());
    sg_bias_act_inputs inputs;
    if (!get_inputs(context, 0, spec, &inputs)) return;
    Tensor* y = nullptr;
    OP_REQUIRES_OK(context, allocate_over<Device>(context, x.shape(), &y));
    if (x.NumElements() == 0) return;
    check_status(context,
                 Device::bias_act(context, spec, inputs, grad_, data_or_null(context->input(5)),
                                  data_of(*y)),
                 "FusedBiasAct");
  }

 private:
  int grad_;
};

// dy, x, bias, style, scale, shift, ref -> dx, dbias, dstyle, dscale, dshift; those not `wanted`
// are empty. An absent dy is all ones; then x, of which the shape is taken, has to be there.
template <typename Device>
class FusedBiasActGradOp : public BiasActBase {
 public:
  explicit FusedBiasActGradOp(OpKernelConstruction* context) : BiasActBase(context) {
    get_activation(context);
    OP_REQUIRES_OK(context, context->GetAttr("wanted", &wanted_));
    OP_REQUIRES(context, wanted_.size() == 5,
                tensorflow::errors::InvalidArgument(
                    "wanted has five flags, for dx, dbias, dstyle, dscale and dshift"));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& dy = context->input(is_present(context->input(0)) ? 0 : 1);
    const sg_bias_act_spec spec = make_spec(dy.shape(), dy.dtype());
    sg_bias_act_inputs inputs;
    if (!get_inputs(context, 1, spec, &inputs)) return;

    TensorShape pixels = dy.shape();
    pixels.set_dim(axis_, 1);
    const TensorShape shapes[] = {dy.shape(), TensorShape({spec.channels}),
                                  TensorShape({spec.samples, spec.channels}), pixels, pixels};
    void* outputs[5];
    const bool is_empty = dy.NumElements() == 0;
    for (int i = 0; i < 5; ++i) {
      Tensor* output = nullptr;
      OP_REQUIRES_OK(context, i == 0 && wanted_[0]
                                  ? allocate_over<Device>(context, shapes[0], &output)
                                  : context->allocate_output(
                                        i, wanted_[i] ? shapes[i] : TensorShape({0}), &output));
      outputs[i] = wanted_[i] ? data_of(*output) : nullptr;
      if (is_empty && output->TotalBytes() > 0) {  // sums of nothing
        Device::set_zero(context, data_of(*output), output->TotalBytes());
      }
    }
    const sg_bias_act_grads grads = {
        outputs[0], static_cast<float*>(outputs[1]), static_cast<float*>(outputs[2]),
        static_cast<float*>(outputs[3]), static_cast<float*>(outputs[4])};
    if (is_empty) return;

    Tensor workspace;
    const int64_t size = Device::bias_act_workspace(spec, grads);
    if (size > 0) {
      OP_REQUIRES_OK(context,
                     context->allocate_temp(tensorflow::DT_UINT8, TensorShape({size}), &workspace));
    }
    check_status(context,
                 Device::bias_act_backward(context, spec, inputs, data_or_null(context->input(0)),
                                           data_or_null(context->input(6)), grads,
                                           size > 0 ? data_of(workspace) : nullptr),
                 "FusedBiasActGrad");
  }

 private:
  std::vector<bool> wanted_;
};

// x, style -> m
template <typename Device>
class ChannelSumOp : public BiasActBase {
 public:
  explicit ChannelSumOp(OpKernelConstruction* context) : BiasActBase(context) {}

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const sg_bias_act_spec spec = make_spec(x.shape(), x.dtype());
    TensorShape shape = x.shape();
    shape.set_dim(axis_, 1);
    Tensor* m = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &m));
    if (x.NumElements() == 0) return;
    check_status(context,
                 Device::channel_sum(context, spec, data_of(x),
                                     data_or_null<float>(context->input(1)), data_of<float>(*m)),
                 "ChannelSum");
  }
};

// x, k -> y; up, down: [vertical, horizontal], pad: [top, bottom, left, right]
template <typename Device>
class UpFirDn2DOp : public tensorflow::OpKernel {
 public:
  explicit UpFirDn2DOp(OpKernelConstruction* context) : OpKernel(context) {
    std::string data_format;
    OP_REQUIRES_OK(context, context->GetAttr("up", &up_));
    OP_REQUIRES_OK(context, context->GetAttr("down", &down_));
    OP_REQUIRES_OK(context, context->GetAttr("pad", &pad_));
    OP_REQUIRES_OK(context, context->GetAttr("data_format", &data_format));
    OP_REQUIRES(
        context, up_.size() == 2 && down_.size() == 2 && pad_.size() == 4,
        tensorflow::errors::InvalidArgument("up and down have two numbers each, pad has four"));
    channels_last_ = data_format == "NHWC";
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const Tensor& k = context->input(1);
    OP_REQUIRES(context, x.dims() == 4 && k.dims() == 2,
                tensorflow::errors::InvalidArgument("x has rank 4, and k rank 2"));
    const int h = channels_last_ ? 1 : 2, w = h + 1;
    sg_upfirdn_2d_spec spec;
    spec.major = x.dim_size(0) * (channels_last_ ? 1 : x.dim_size(1));
    spec.minor = channels_last_ ? x.dim_size(3) : 1;
    spec.in_h = x.dim_size(h);
    spec.in_w = x.dim_size(w);
    spec.taps_y = k.dim_size(0);
    spec.taps_x = k.dim_size(1);
    spec.up_y = up_[0];
    spec.up_x = up_[1];
    spec.down_y = down_[0];
    spec.down_x = down_[1];
    spec.pad_y0 = pad_[0];
    spec.pad_y1 = pad_[1];
    spec.pad_x0 = pad_[2];
    spec.pad_x1 = pad_[3];
    spec.dtype = dtype_code(x.dtype());

    TensorShape shape = x.shape();
    shape.set_dim(h, sg_upfirdn_size(spec.in_h, spec.up_y, spec.down_y, spec.pad_y0, spec.pad_y1,
                                     spec.taps_y));
    shape.set_dim(w, sg_upfirdn_size(spec.in_w, spec.up_x, spec.down_x, spec.pad_x0, spec.pad_x1,
                                     spec.taps_x));
    Tensor* y = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &y));
    if (y->NumElements() == 0) return;
    check_status(context,
                 Device::upfirdn_2d(context, spec, data_of(x), data_of<float>(k), data_of(*y)),
                 "UpFirDn2D");
  }

 private:
  std::vector<int> up_, down_, pad_;
  bool channels_last_;
};

}  // namespace stylegan2

// Registers all ops with the kernels of `calls` for one device and type.
#define REGISTER_STYLEGAN2_KERNEL(name, calls, device, type)                    \
  REGISTER_KERNEL_BUILDER(Name(#name).Device(device).TypeConstraint<type>("T"), \
                          stylegan2::name##Op<calls>)
#define REGISTER_STYLEGAN2_KERNELS(calls, device, type)             \
  REGISTER_STYLEGAN2_KERNEL(FusedBiasAct, calls, device, type);     \
  REGISTER_STYLEGAN2_KERNEL(FusedBiasActGrad, calls, device, type); \
  REGISTER_STYLEGAN2_KERNEL(ChannelSum, calls, device, type);       \
  REGISTER_STYLEGAN2_KERNEL(UpFirDn2D, calls, device, type)

#endif
