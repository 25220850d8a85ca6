// bias_act.h for CPUs: plain loops over pieces of images that stay in the first-level cache.
#include <algorithm>

#if defined __AVX512VBMI__ && defined __GNUC__ && __GNUC__ >= 8 && !defined __clang__
#pragma GCC target("prefer-vector-width=512")  // here it does not slow the clock down
#endif

#include "cpu/cpu_pieces.h"
#include "cpu/cpu_tuning.h"

namespace stylegan2 {
namespace {

// Blocks of pixels of one sample, with all their channels.
template <class T>
struct Job {
  sg_bias_act_spec spec;
  sg_bias_act_inputs in;
  const T *x, *dy, *ref;
  T* y;  // the result, or dx
  curve_fn curve;
  bool backward;
  bool u_is_one;                          // and nothing but sums of u * x is wanted
  sg_bias_act_grads out;                  // of the backward pass
  float *bias_partials, *style_partials;  // [blocks, channels] or NULL

  // Channels last: groups of pixels are samples. Else they are outer indices.
  bool channels_last;
  int64_t groups, group_pixels, block_pixels, blocks_per_group;

  Job(const sg_bias_act_spec& spec, const sg_bias_act_inputs& in, curve_fn curve, bool backward)
      : spec(spec), in(in), x(NULL), dy(NULL), ref(NULL), y(NULL), curve(curve), backward(backward),
        u_is_one(false), out(), bias_partials(NULL), style_partials(NULL) {
    const int64_t channels = std::max<int64_t>(spec.channels, 1);
    const int64_t pixels = std::max<int64_t>(kBlock / channels, 1);
    channels_last = spec.inner == 1;
    groups = channels_last ? spec.samples : spec.outer;
    group_pixels = channels_last ? spec.outer / spec.samples : spec.inner;
    block_pixels = channels_last ? std::min(pixels, kBlockPixels)
                                 : std::max<int64_t>(pixels / kPiece, 1) * kPiece;
    blocks_per_group = (group_pixels + block_pixels - 1) / block_pixels;
  }

  int64_t blocks() const { return groups * blocks_per_group; }
};

// Where to prefetch number `at`, which need not exist. Without numbers: where it costs nothing.
template <class T>
char* ahead_of(const T* numbers, int64_t at, const float* unused) {
  const uintptr_t start = reinterpret_cast<uintptr_t>(numbers) + at * sizeof(T);
  return reinterpret_cast<char*>(numbers ? start : reinterpret_cast<uintptr_t>(unused));
}

// x to y; or dy to u, with u written to y times mul_of and mul, and returned in `u`.
// The next piece starts at next_at.
template <class T>
void piece(const Job<T>& job, int64_t at, int64_t n, int64_t next_at, const Affine& affine,
           float* u) {
  alignas(64) float z[kPiece], buffer[kPiece];
  const float* ref = z;  // not looked at
  const bool is_swish = job.spec.act == SG_SWISH;
  const Ahead ahead = {ahead_of(job.backward ? job.dy : job.x, next_at, z),
                       ahead_of(job.backward && is_swish ? job.x : job.ref, next_at, z),
                       ahead_of(job.y, next_at, z), sizeof(T)};
  if (!job.backward) {
    apply_affine(affine, job.x + at, n, z);
    if (job.ref) ref = as_floats(job.ref + at, n, buffer);
    float* target = float_target(job.y + at, z);
    job.curve(z, ref, job.spec, n, ahead, target);
    finish_target(job.y + at, target, n);
    return;
  }
  if (job.u_is_one) return;
  if (is_swish) {
    apply_affine(affine, job.x + at, n, buffer);
    ref = buffer;
  } else if (job.ref) {
    ref = as_floats(job.ref + at, n, buffer);
  }
  if (!job.dy) std::fill(z, z + n, 1.0f);
  const float* dy = job.dy ? as_floats(job.dy + at, n, z) : z;
  job.curve(dy, ref, job.spec, n, ahead, u);
  if (job.y) {
    float* target = float_target(job.y + at, z);
    const Affine slope = {affine.mul_of, NULL, affine.mul, 0.0f};
    apply_affine(slope, u, n, target);
    finish_target(job.y + at, target, n);
  }
}

// Channels last: channels [first, first + count) of pixels [begin, end), several pixels at once.
template <class T>
void block_channels_last(const Job<T>& job, int64_t block, int64_t begin, int64_t end,
                         const float* style, int64_t first, int64_t count) {
  const int64_t channels = job.spec.channels;
  const int64_t together = count == channels ? std::max<int64_t>(kPiece / 2 / count, 1) : 1;
  const float *scale = job.in.scale, *shift = job.in.shift;
  const float* bias = job.in.bias ? job.in.bias + first : NULL;
  if (style) style += first;
  alignas(64) float mul_tile[kPiece], add_tile[kPiece], u[kPiece];
  const bool tile_mul = together > 1 && (style || scale);
  const bool tile_add = together > 1 && (bias || shift);
  float* const u_sums = job.bias_partials ? job.bias_partials + block * channels + first : NULL;
  float* const ux_sums = job.style_partials ? job.style_partials + block * channels + first : NULL;
  RowSums sums = {u_sums, ux_sums, 1.0f, job.out.dshift, job.out.dscale, style};
  for (int64_t p = begin; p < end; p += together) {
    const int64_t pixels = std::min(together, end - p), at = p * channels + first;
    Affine affine = {style, bias, 1.0f, 0.0f};
    if (together == 1) {
      if (scale) affine.mul = scale[p];
      if (shift) affine.add = shift[p];
    }
    for (int64_t i = 0; tile_mul && (p == begin || scale) && i < pixels; i++) {
      const float s = scale ? scale[p + i] : 1.0f;
      for (int64_t c = 0; c < count; c++) mul_tile[i * count + c] = style ? style[c] * s : s;
    }
    for (int64_t i = 0; tile_add && (p == begin || shift) && i < pixels; i++) {
      const float t = shift ? shift[p + i] : 0.0f;
      for (int64_t c = 0; c < count; c++) add_tile[i * count + c] = bias ? bias[c] + t : t;
    }
    if (tile_mul) affine.mul_of = mul_tile;
    if (tile_add) affine.add_of = add_tile;
    piece(job, at, pixels * count, at + pixels * channels, affine, u);
    if (!job.backward) continue;
    const T* x = sums.wants_x() ? job.x + at : NULL;
    for (int64_t i = 0; i < pixels; i++) {
      if (scale) sums.factor = scale[p + i];
      if (job.out.dshift) sums.u_total = job.out.dshift + p + i;
      if (job.out.dscale) sums.ux_total = job.out.dscale + p + i;
      const T* ahead = x ? x + pixels * channels + i * count : job.dy;
      if (job.u_is_one) {
        row_sums<true>(sums, NULL, x + i * count, ahead, count);
      } else {
        row_sums<false>(sums, u + i * count, x ? x + i * count : NULL, ahead, count);
      }
    }
  }
}

// Channels first, all channels of up to kPiece pixels of one outer index.
template <class T>
void block_channels_first(const Job<T>& job, int64_t block, int64_t group, int64_t begin, int64_t n,
                          const float* style) {
  const sg_bias_act_spec& spec = job.spec;
  const int64_t first_pixel = group * spec.inner + begin;
  const float* scale = job.in.scale ? job.in.scale + first_pixel : NULL;
  const float* shift = job.in.shift ? job.in.shift + first_pixel : NULL;
  alignas(64) float u[kPiece];
  for (int64_t c = 0; c < spec.channels; c++) {
    const int64_t at = (group * spec.channels + c) * spec.inner + begin;
    const float factor = style ? style[c] : 1.0f;
    const Affine affine = {scale, shift, factor, job.in.bias ? job.in.bias[c] : 0.0f};
    piece(job, at, n, at + spec.inner, affine, u);
    if (!job.backward) continue;
    const int64_t partial = block * spec.channels + c;
    float* const u_sum = job.bias_partials ? job.bias_partials + partial : NULL;
    float* const ux_sum = job.style_partials ? job.style_partials + partial : NULL;
    float* const u_sums = job.out.dshift ? job.out.dshift + first_pixel : NULL;
    float* const ux_sums = job.out.dscale ? job.out.dscale + first_pixel : NULL;
    const RowSums sums = {u_sums, ux_sums, factor, u_sum, ux_sum, scale};
    const T* x = sums.wants_x() ? job.x + at : NULL;
    const T* ahead = x ? x + spec.inner : job.dy;
    if (job.u_is_one) {
      row_sums<true>(sums, NULL, x, ahead, n);
    } else {
      row_sums<false>(sums, u, x, ahead, n);
    }
  }
}

template <class T>
void do_blocks(void* arg, int64_t first_block, int64_t last_block) {
  const Job<T>& job = *static_cast<const Job<T>*>(arg);
  const int64_t channels = job.spec.channels;
  for (int64_t block = first_block; block < last_block; block++) {
    const int64_t group = block / job.blocks_per_group;
    const int64_t begin = block % job.blocks_per_group * job.block_pixels;
    const int64_t end = std::min(begin + job.block_pixels, job.group_pixels);
    const int64_t start = group * job.group_pixels;
    const int64_t sample = job.channels_last ? group : group / (job.groups / job.spec.samples);
    const float* style = job.in.style ? job.in.style + sample * channels : NULL;
    float* const pixel_sums[] = {job.out.dshift, job.out.dscale};
    for (float* sums : pixel_sums) {
      if (sums) std::fill(sums + start + begin, sums + start + end, 0.0f);
    }
    float* const channel_sums[] = {job.bias_partials, job.style_partials};
    for (float* sums : channel_sums) {
      if (sums) std::fill(sums + block * channels, sums + (block + 1) * channels, 0.0f);
    }
    if (job.channels_last) {
      for (int64_t c = 0; c < channels; c += kPiece) {
        block_channels_last(job, block, start + begin, start + end, style, c,
                            std::min(kPiece, channels - c));
      }
    } else {
      for (int64_t p = begin; p < end; p += kPiece) {
        block_channels_first(job, block, group, p, std::min(kPiece, end - p), style);
      }
    }
  }
}

// Partial sums of blocks, to be added up in order.
struct Sums {
  const float* partials;                       // [rows, channels]
  float* results;                              // [rows / rows_per_result, channels]
  int64_t rows_per_result, channels, columns;  // columns: units per result
};

void add_partials(void* arg, int64_t first_unit, int64_t last_unit) {
  const Sums& sums = *static_cast<const Sums*>(arg);
  for (int64_t unit = first_unit; unit < last_unit; unit++) {
    const int64_t result = unit / sums.columns, c = unit % sums.columns * kCombined;
    const int64_t n = std::min(kCombined, sums.channels - c);
    const float* row = sums.partials + result * sums.rows_per_result * sums.channels + c;
    double total[kCombined] = {0};
    for (int64_t i = 0; i < sums.rows_per_result; i++, row += sums.channels) {
      for (int64_t j = 0; j < n; j++) total[j] += row[j];
    }
    for (int64_t j = 0; j < n; j++) {
      sums.results[result * sums.channels + c + j] = static_cast<float>(total[j]);
    }
  }
}

void combine(const float* partials, int64_t rows, int64_t results, int64_t channels, float* out,
             sg_parallel_for parallel_for, void* pool) {
  Sums sums = {partials, out, rows / results, channels, (channels + kCombined - 1) / kCombined};
  sg_for_each(parallel_for, pool, results * sums.columns, sums.rows_per_result * kCombined,
              add_partials, &sums);
}

template <class T>
int run(Job<T>* job, const void* dy, const void* ref, void* y, const sg_bias_act_grads* out,
        float* workspace, sg_parallel_for parallel_for, void* pool) {
  const sg_bias_act_spec& spec = job->spec;
  job->x = static_cast<const T*>(job->in.x);
  job->dy = static_cast<const T*>(dy);
  job->ref = static_cast<const T*>(ref);
  job->y = static_cast<T*>(y);
  if (out) {
    job->out = *out;
    job->u_is_one = (out->dstyle || out->dscale) && !dy && spec.act == SG_LINEAR &&
                    spec.gain == 1 && !out->dx && !out->dbias && !out->dshift;
    const bool reads_x = spec.act == SG_SWISH || out->dstyle || out->dscale;
    if (!reads_x) job->x = NULL;
    const int64_t partials = job->blocks() * spec.channels;
    if (out->dbias) job->bias_partials = workspace;
    if (out->dstyle) job->style_partials = workspace + (out->dbias ? partials : 0);
  }
  const int64_t cost = job->block_pixels * spec.channels * (spec.act <= SG_LRELU ? 2 : 5);
  sg_for_each(parallel_for, pool, job->blocks(), cost, do_blocks<T>, job);
  if (job->bias_partials) {
    combine(job->bias_partials, job->blocks(), 1, spec.channels, out->dbias, parallel_for, pool);
  }
  if (job->style_partials) {
    combine(job->style_partials, job->blocks(), spec.samples, spec.channels, out->dstyle,
            parallel_for, pool);
  }
  return SG_OK;
}

int dispatch(const sg_bias_act_spec& spec, const sg_bias_act_inputs& in, bool backward,
             curve_fn curve, const void* dy, const void* ref, void* y, const sg_bias_act_grads* out,
             void* workspace, sg_parallel_for parallel_for, void* pool) {
  if (spec.dtype == SG_FLOAT32) {
    Job<float> job(spec, in, curve, backward);
    return run(&job, dy, ref, y, out, static_cast<float*>(workspace), parallel_for, pool);
  }
  if (spec.dtype == SG_BFLOAT16) {
    Job<bfloat16> job(spec, in, curve, backward);
    return run(&job, dy, ref, y, out, static_cast<float*>(workspace), parallel_for, pool);
  }
  return SG_BAD_DTYPE;
}

}  // namespace
}  // namespace stylegan2

using namespace stylegan2;

int sg_bias_act_cpu(const sg_bias_act_spec* spec, const sg_bias_act_inputs* in, int grad,
                    const void* ref, void* y, sg_parallel_for parallel_for, void* pool) {
  const int status = check_spec(*spec);
  if (status != SG_OK) return status;
  const bool ref_missing = grad > 0 && spec->act != SG_LINEAR && !ref;
  if (grad < 0 || grad > 2 || ref_missing) return SG_BAD_ARGUMENT;
  const curve_fn curve = grad == 0   ? curve_of<0>(spec->act)
                         : grad == 1 ? curve_of<1>(spec->act)
                                     : curve_of<2>(spec->act);
  if (grad == 0) ref = NULL;
  return dispatch(*spec, *in, false, curve, NULL, ref, y, NULL, NULL, parallel_for, pool);
}

int sg_bias_act_backward_cpu(const sg_bias_act_spec* spec, const sg_bias_act_inputs* in,
                             const void* dy, const void* ref, const sg_bias_act_grads* out,
                             void* workspace, sg_parallel_for parallel_for, void* pool) {
  const int status = check_spec(*spec);
  if (status != SG_OK) return status;
  const bool x_missing = !in->x && (out->dstyle || out->dscale || spec->act == SG_SWISH);
  if (x_missing || (needs_result(*spec) && !ref)) return SG_BAD_ARGUMENT;
  if (!needs_result(*spec)) ref = NULL;
  return dispatch(*spec, *in, true, curve_of<1>(spec->act), dy, ref, out->dx, out, workspace,
                  parallel_for, pool);
}

int64_t sg_bias_act_workspace_cpu(const sg_bias_act_spec* spec, const sg_bias_act_grads* out) {
  if (check_spec(*spec) != SG_OK) return 0;
  const Job<float> job(*spec, sg_bias_act_inputs(), NULL, true);
  const int64_t arrays = (out->dbias != NULL) + (out->dstyle != NULL);
  return arrays * job.blocks() * spec->channels * static_cast<int64_t>(sizeof(float));
}

int sg_channel_sum_cpu(const sg_bias_act_spec* spec, const void* x, const float* style, float* m,
                       sg_parallel_for parallel_for, void* pool) {
  sg_bias_act_spec linear = *spec;
  linear.act = SG_LINEAR;
  linear.gain = 1.0f;
  const sg_bias_act_inputs in = {x, NULL, style, NULL, NULL};
  const sg_bias_act_grads out = {NULL, NULL, NULL, m, NULL};
  return sg_bias_act_backward_cpu(&linear, &in, NULL, NULL, &out, NULL, parallel_for, pool);
}
