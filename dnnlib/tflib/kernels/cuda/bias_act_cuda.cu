// bias_act.h for CUDA. Sums are made in two stages, each in a fixed order; no atomics.
#include "cuda/bias_act_kernels.cuh"
#include "cuda/channel_sum_kernels.cuh"

namespace stylegan2 {
namespace {

View view_of(const sg_bias_act_spec& spec) {
  if (spec.inner == 1) {
    return View{spec.samples, spec.outer / spec.samples, spec.channels, true, 1};
  }
  return View{spec.outer, spec.channels, spec.inner, false, spec.outer / spec.samples};
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t row_chunks(const View& view) { return ceil_div(view.columns, kRowChunk); }
int64_t column_chunks(const View& view) { return ceil_div(view.rows, kColumnChunk); }

// Numbers of partial sums per channel sum.
int64_t partials_of(const View& view) {
  return view.channels_last ? view.batch * column_chunks(view) * view.columns
                            : view.batch * view.rows * row_chunks(view);
}

// Whether kVec columns are one access in all arrays.
template <class T>
bool fits(const Job<T>& job, int vec) {
  bool all = job.view.columns % vec == 0;
  const void* const pointers[] = {job.x,    job.ref,   job.z_x,   job.sum_x, job.y,
                                  job.bias, job.style, job.scale, job.shift};
  for (const void* pointer : pointers) all = all && is_aligned(pointer, kVectorBytes);
  return all;
}

// Whether 32 bits are enough to count an image's numbers, and one more step of a thread.
bool is_countable(const View& view) {
  return view.batch * view.rows * view.columns < (int64_t(1) << 31);
}

template <class T, int kVec, bool kSimple, class Index>
void launch_elementwise(const Job<T>& job, void* stream) {
  const int64_t per_row = job.view.columns / kVec;
  const int64_t total = job.view.batch * job.view.rows * per_row;
  const unsigned blocks = static_cast<unsigned>(ceil_div(total, kThreads));
  SG_LAUNCH((elementwise<T, kVec, kSimple, Index>), blocks, kThreads, stream, job,
            static_cast<Index>(per_row), static_cast<Index>(total));
}

template <class T>
void launch_elementwise(const Job<T>& job, void* stream) {
  const int kVec = kVectorBytes / sizeof(T);
  const bool simple = job.spec.act <= SG_LRELU;
  if (job.view.batch * job.view.rows * job.view.columns == 0) return;
  if (!is_countable(job.view)) {
    simple ? launch_elementwise<T, 1, true, int64_t>(job, stream)
           : launch_elementwise<T, 1, false, int64_t>(job, stream);
  } else if (fits(job, kVec)) {
    simple ? launch_elementwise<T, kVec, true, uint32_t>(job, stream)
           : launch_elementwise<T, kVec, false, uint32_t>(job, stream);
  } else {
    simple ? launch_elementwise<T, 1, true, uint32_t>(job, stream)
           : launch_elementwise<T, 1, false, uint32_t>(job, stream);
  }
}

template <class T, int kVec, bool kSimple, class Index>
void launch_sums(const Job<T>& job, bool over_columns, int64_t chunk, int64_t chunks,
                 const float* weight, float* sum_u, float* sum_ux, void* stream) {
  const View& view = job.view;
  const Index size = static_cast<Index>(chunk), number = static_cast<Index>(chunks);
  if (over_columns) {
    const int64_t warps = view.batch * view.rows * chunks;
    SG_LAUNCH((sum_rows<T, kVec, kSimple, Index>), static_cast<unsigned>(ceil_div(warps, kWarps)),
              kThreads, stream, job, size, number, weight, sum_u, sum_ux);
  } else {
    const int64_t blocks = ceil_div(view.columns, kWarp * kVec) * view.batch * chunks;
    SG_LAUNCH((sum_columns<T, kVec, kSimple, Index>), static_cast<unsigned>(blocks), kThreads,
              stream, job, size, number, weight, sum_u, sum_ux);
  }
}

template <class T>
void launch_sums(const Job<T>& job, bool over_columns, int64_t chunk, const float* weight,
                 float* sum_u, float* sum_ux, void* stream) {
  const int kVec = kVectorBytes / sizeof(T);
  const bool simple = job.spec.act <= SG_LRELU;
  const int64_t chunks = ceil_div(over_columns ? job.view.columns : job.view.rows, chunk);
  if (job.view.batch * job.view.rows * job.view.columns == 0) return;
  auto launch = simple ? launch_sums<T, 1, true, int64_t> : launch_sums<T, 1, false, int64_t>;
  if (is_countable(job.view)) {
    launch =
        fits(job, kVec) && is_aligned(weight, kVectorBytes)
            ? (simple ? launch_sums<T, kVec, true, uint32_t>
                      : launch_sums<T, kVec, false, uint32_t>)
            : (simple ? launch_sums<T, 1, true, uint32_t> : launch_sums<T, 1, false, uint32_t>);
  }
  launch(job, over_columns, chunk, chunks, weight, sum_u, sum_ux, stream);
}

template <class T, int kVec, class Index>
void launch_channel_sum(const View& view, const T* x, const float* style, float* m, void* stream) {
  if (view.channels_last) {
    int lanes = kWarp;
    while (lanes > 1 && lanes / 2 * kVec >= view.columns) lanes /= 2;
    const int64_t blocks = ceil_div(view.batch * view.rows * lanes, kThreads);
    SG_LAUNCH((sum_channels_last<T, kVec, Index>), static_cast<unsigned>(blocks), kThreads, stream,
              view, lanes, x, style, m);
  } else {
    const int64_t blocks = ceil_div(view.columns, kWarp * kVec) * view.batch;
    SG_LAUNCH((sum_channels_first<T, kVec, Index>), static_cast<unsigned>(blocks), kThreads, stream,
              view, x, style, m);
  }
}

template <class T>
int channel_sum(const sg_bias_act_spec& spec, const void* from, const float* style, float* m,
                void* stream) {
  const int kVec = kVectorBytes / sizeof(T);
  const View view = view_of(spec);
  const T* x = static_cast<const T*>(from);
  const bool aligned = is_aligned(x, kVectorBytes) && is_aligned(style, kVectorBytes);
  if (view.batch * view.rows * view.columns == 0) return SG_OK;
  if (!is_countable(view)) {
    launch_channel_sum<T, 1, int64_t>(view, x, style, m, stream);
  } else if (aligned && view.columns % kVec == 0) {
    launch_channel_sum<T, kVec, uint32_t>(view, x, style, m, stream);
  } else {
    launch_channel_sum<T, 1, uint32_t>(view, x, style, m, stream);
  }
  return launch_status();
}

template <class T>
int forward(const sg_bias_act_spec& spec, const sg_bias_act_inputs& in, int grad, const void* ref,
            void* y, void* stream) {
  const Job<T> job = {spec,
                      view_of(spec),
                      inverse_gain(spec),
                      grad,
                      static_cast<const T*>(in.x),
                      grad == 0 ? NULL : static_cast<const T*>(ref),
                      NULL,
                      NULL,
                      in.bias,
                      in.style,
                      in.scale,
                      in.shift,
                      static_cast<T*>(y)};
  launch_elementwise(job, stream);
  return launch_status();
}

template <class T>
int backward(const sg_bias_act_spec& spec, const sg_bias_act_inputs& in, const void* dy,
             const void* ref, const sg_bias_act_grads& out, float* workspace, void* stream) {
  const View view = view_of(spec);
  const bool swish = spec.act == SG_SWISH;
  const T* x = static_cast<const T*>(in.x);
  Job<T> job = {spec,
                view,
                inverse_gain(spec),
                1,
                static_cast<const T*>(dy),
                needs_result(spec) ? static_cast<const T*>(ref) : NULL,
                swish ? x : NULL,
                x,
                swish ? in.bias : NULL,
                in.style,
                in.scale,
                swish ? in.shift : NULL,
                static_cast<T*>(out.dx)};
  T* const dx = job.y;
  if (out.dshift || out.dscale) {
    job.y = NULL;
    const int64_t all = view.channels_last ? view.columns : view.rows;
    launch_sums(job, view.channels_last, all > 0 ? all : 1, in.style, out.dshift, out.dscale,
                stream);
    job.y = dx;
  }
  if (out.dbias || out.dstyle) {
    const int64_t partials = partials_of(view);
    float* bias_partials = out.dbias ? workspace : NULL;
    float* style_partials = out.dstyle ? workspace + (out.dbias ? partials : 0) : NULL;
    launch_sums(job, !view.channels_last, view.channels_last ? kColumnChunk : kRowChunk, in.scale,
                bias_partials, style_partials, stream);
    const int64_t channels = spec.channels, samples = spec.samples;
    const int64_t inner = view.channels_last ? 1 : row_chunks(view);
    const int64_t outer = view.channels_last ? column_chunks(view) : view.batches_per_sample;
    const unsigned blocks = static_cast<unsigned>(ceil_div(channels, kWarps));
    const unsigned style_blocks = static_cast<unsigned>(ceil_div(samples * channels, kWarps));
    if (out.dbias && channels > 0) {
      SG_LAUNCH(add_partials, blocks, kThreads, stream, bias_partials, int64_t(1), samples * outer,
                channels, inner, out.dbias);
    }
    if (out.dstyle && channels > 0) {
      SG_LAUNCH(add_partials, style_blocks, kThreads, stream, style_partials, samples, outer,
                channels, inner, out.dstyle);
    }
  } else if (dx) {
    launch_elementwise(job, stream);
  }
  return launch_status();
}

}  // namespace
}  // namespace stylegan2

using namespace stylegan2;

int sg_bias_act_cuda(const sg_bias_act_spec* spec, const sg_bias_act_inputs* in, int grad,
                     const void* ref, void* y, void* stream) {
  const int status = check_spec(*spec);
  if (status != SG_OK) return status;
  const bool ref_missing = grad > 0 && spec->act != SG_LINEAR && !ref;
  if (grad < 0 || grad > 2 || ref_missing) return SG_BAD_ARGUMENT;
  switch (spec->dtype) {
    case SG_FLOAT32: return forward<float>(*spec, *in, grad, ref, y, stream);
    case SG_FLOAT16: return forward<__half>(*spec, *in, grad, ref, y, stream);
    case SG_BFLOAT16: return forward<__nv_bfloat16>(*spec, *in, grad, ref, y, stream);
  }
  return SG_BAD_DTYPE;
}

int sg_bias_act_backward_cuda(const sg_bias_act_spec* spec, const sg_bias_act_inputs* in,
                              const void* dy, const void* ref, const sg_bias_act_grads* out,
                              void* workspace, void* stream) {
  const int status = check_spec(*spec);
  if (status != SG_OK) return status;
  const bool x_missing = !in->x && (out->dstyle || out->dscale || spec->act == SG_SWISH);
  if (x_missing || (needs_result(*spec) && !ref)) return SG_BAD_ARGUMENT;
  float* work = static_cast<float*>(workspace);
  switch (spec->dtype) {
    case SG_FLOAT32: return backward<float>(*spec, *in, dy, ref, *out, work, stream);
    case SG_FLOAT16: return backward<__half>(*spec, *in, dy, ref, *out, work, stream);
    case SG_BFLOAT16: return backward<__nv_bfloat16>(*spec, *in, dy, ref, *out, work, stream);
  }
  return SG_BAD_DTYPE;
}

int64_t sg_bias_act_workspace_cuda(const sg_bias_act_spec* spec, const sg_bias_act_grads* out) {
  if (check_spec(*spec) != SG_OK) return 0;
  const int64_t arrays = (out->dbias != NULL) + (out->dstyle != NULL);
  return arrays * partials_of(view_of(*spec)) * static_cast<int64_t>(sizeof(float));
}

int sg_channel_sum_cuda(const sg_bias_act_spec* spec, const void* x, const float* style, float* m,
                        void* stream) {
  const int status = check_spec(*spec);
  if (status != SG_OK) return status;
  if (!x) return SG_BAD_ARGUMENT;
  switch (spec->dtype) {
    case SG_FLOAT32: return channel_sum<float>(*spec, x, style, m, stream);
    case SG_FLOAT16: return channel_sum<__half>(*spec, x, style, m, stream);
    case SG_BFLOAT16: return channel_sum<__nv_bfloat16>(*spec, x, style, m, stream);
  }
  return SG_BAD_DTYPE;
}
