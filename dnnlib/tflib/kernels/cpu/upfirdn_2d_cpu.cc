// upfirdn_2d.h for CPUs: every row of the result is a sum of filtered rows of x.
//
// A separable filter first adds up rows of x, with the vertical taps, and then filters that one
// row; any other filter works through the rows one by one. All inner loops run over consecutive
// numbers: channels, or pixels where the images have few channels. The filters of StyleGAN2 have
// faster ways of their own: cpu_resample.h.
#include "upfirdn_2d.h"

#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "cpu/cpu_fir.h"
#include "cpu/cpu_resample_pixels.h"
#include "cpu/cpu_resample_planes.h"
#include "cpu/cpu_tuning.h"
#include "cpu/cpu_types.h"

namespace stylegan2 {
namespace {

// The work: bands of rows of the result.
struct Job {
  sg_upfirdn_2d_spec spec;
  Axis vertical, horizontal;
  const void* x;
  void* y;
  bool separable;
  float taps_y[SG_MAX_TAPS], taps_x[SG_MAX_TAPS];  // flipped: the first meets the first pixel
  float filter[SG_MAX_TAPS][SG_MAX_TAPS];          // likewise
  int64_t piece, band, bands;                      // columns; rows; bands per image
  bool planar;  // few channels, and resampled: sort the pixels by phase first
  std::atomic<int> status;
};

// Finds vertical and horizontal taps whose product is the filter, to the precision of its numbers.
bool separate(Job* job) {
  const int rows = job->vertical.taps, columns = job->horizontal.taps;
  int top = 0, left = 0;
  for (int i = 0; i < rows; i++) {
    for (int j = 0; j < columns; j++) {
      if (std::fabs(job->filter[i][j]) > std::fabs(job->filter[top][left])) top = i, left = j;
    }
  }
  const double peak = job->filter[top][left];
  std::fill(job->taps_y, job->taps_y + SG_MAX_TAPS, 0.0f);
  std::fill(job->taps_x, job->taps_x + SG_MAX_TAPS, 0.0f);
  for (int i = 0; i < rows; i++) {
    for (int j = 0; j < columns; j++) {
      const double product = peak ? double(job->filter[i][left]) * job->filter[top][j] / peak : 0;
      const double error = std::fabs(product - job->filter[i][j]);
      if (!(error <= 5e-7 * std::fabs(job->filter[i][j]))) return false;
    }
  }
  for (int i = 0; i < rows; i++) job->taps_y[i] = job->filter[i][left];
  for (int j = 0; j < columns; j++) {
    job->taps_x[j] = peak ? static_cast<float>(job->filter[top][j] / peak) : 0.0f;
  }
  return true;
}

// The rows of x that make one row of the result: consecutive ones, those outside left out.
template <class T>
struct Rows {
  int count;
  int64_t first;
  const T* rows[SG_MAX_TAPS];
  int steps[SG_MAX_TAPS];  // which tap meets the row
  float weights[SG_MAX_TAPS];
};

template <class T>
Rows<T> rows_of(const Job& job, int64_t image, int64_t oy) {
  const Axis& axis = job.vertical;
  const int64_t stride = job.horizontal.in * job.spec.minor;
  const Support support = support_of(axis, oy);
  Rows<T> result;
  result.count = 0;
  result.first = std::max<int64_t>(support.first, 0);
  for (int t = 0; t < support.count; t++) {
    const int64_t iy = support.first + t;
    if (iy < 0 || iy >= axis.in) continue;
    const int step = support.step + t * axis.up;
    result.steps[result.count] = step;
    result.weights[result.count] = job.taps_y[step];
    result.rows[result.count] = static_cast<const T*>(job.x) + (image * axis.in + iy) * stride;
    result.count++;
  }
  return result;
}

struct Scratch {
  float* row[2];  // of columns [low, high): sums of rows of x; for two rows of the result at most
  float* planes;  // row[.], sorted by phase
  float* sums;    // the result, sorted by phase
  float* target;  // the result in float32
};

int64_t floats_per_piece(const Job& job) {
  const Axis& axis = job.horizontal;
  const int64_t columns = job.piece * axis.down / axis.up + axis.taps + 2 + axis.down;
  const int64_t floats = std::max(columns, job.piece + axis.up) * job.spec.minor;
  return (floats + 15) / 16 * 16;
}

// Adds up columns [low, high) of `count` rows of x; zeros outside of x. With `other`: also those
// that start `shift` rows later, with other weights, into row1.
template <class T>
void add_rows(const Job& job, const T* const* rows, const float* weights, int count, int64_t low,
              int64_t high, float* row0, const float* other, int64_t shift, float* row1) {
  typedef void (*Pair)(const T* const*, const float*, const float*, int64_t, float*, float*);
  static const Pair pairs[4][3] = {{fir_pair<T, 1, 0>, fir_pair<T, 1, 1>, fir_pair<T, 1, 2>},
                                   {fir_pair<T, 2, 0>, fir_pair<T, 2, 1>, fir_pair<T, 2, 2>},
                                   {fir_pair<T, 3, 0>, fir_pair<T, 3, 1>, fir_pair<T, 3, 2>},
                                   {fir_pair<T, 4, 0>, fir_pair<T, 4, 1>, fir_pair<T, 4, 2>}};
  const int64_t channels = job.spec.minor, width = high - low;
  const int64_t begin = std::min(std::max<int64_t>(-low, 0), width);
  const int64_t end = std::max(std::min(job.horizontal.in - low, width), begin);
  const int64_t n = (end - begin) * channels;
  for (float* row : {row0, row1}) {
    if (!row) continue;
    std::fill(row, row + begin * channels, 0.0f);
    std::fill(row + end * channels, row + width * channels, 0.0f);
  }
  if (n == 0) return;
  const int64_t at = (low + begin) * channels, stride = job.horizontal.in * channels;
  const T* from[SG_MAX_TAPS];
  if (other) {
    for (int t = 0; t < count + shift; t++) from[t] = rows[0] + t * stride + at;
    pairs[count - 1][shift](from, weights, other, n, row0 + begin * channels,
                            row1 + begin * channels);
  } else {
    for (int t = 0; t < count; t++) from[t] = rows[t] + at;
    any_fir(from, weights, count, false, Segments{1, n, n, n}, row0 + begin * channels);
  }
}

// Filters a row into, or onto, `sums`: [columns], or [up, columns / up] where planar.
void filter_row(const Job& job, const float* taps, bool add, const Piece& piece, const float* row,
                float* planes, float* sums) {
  const Axis& axis = job.horizontal;
  const int64_t channels = job.spec.minor, width = piece.high - piece.low;
  const int64_t plane = (width / axis.down + 1) * channels;
  const bool sorted = job.planar && axis.down > 1;
  for (int phase = 0; sorted && phase < axis.down; phase++) {
    const int64_t pixels = (width - phase + axis.down - 1) / axis.down;
    copy_pixels(row + phase * channels, axis.down * channels, planes + phase * plane, channels,
                pixels, channels);
  }
  for (int phase = 0; phase < axis.up && piece.begin + phase < piece.end; phase++) {
    const Support support = support_of(axis, piece.begin + phase);
    const int64_t count = (piece.end - piece.begin - phase + axis.up - 1) / axis.up;
    const float* in[SG_MAX_TAPS];
    float weights[SG_MAX_TAPS];
    for (int t = 0; t < support.count; t++) {
      const int64_t column = support.first - piece.low + t;
      weights[t] = taps[support.step + t * axis.up];
      in[t] = sorted ? planes + column % axis.down * plane + column / axis.down * channels
                     : row + column * channels;
    }
    Segments segments = {count, channels, axis.down * channels, axis.up * channels};
    float* out = sums + phase * channels;
    if (job.planar) {
      segments.in_stride = segments.out_stride = channels;
      out = sums + phase * (job.piece / axis.up) * channels;
    }
    any_fir(in, weights, support.count, add, segments, out);
  }
}

// The part of row oy of the result that a piece is: from `row` or, if NULL, from the rows of x.
template <class T>
void make_piece(const Job& job, int64_t image, int64_t oy, const Piece& piece, const float* row,
                const Rows<T>& rows, const Scratch& scratch) {
  const Axis& axis = job.horizontal;
  const int64_t channels = job.spec.minor;
  const int64_t at = (image * job.vertical.out + oy) * axis.out + piece.begin;
  T* y = static_cast<T*>(job.y) + at * channels;
  const bool interleave = job.planar && axis.up > 1;
  float* target = float_target(y, scratch.target);
  float* sums = interleave ? scratch.sums : target;
  if (row) filter_row(job, job.taps_x, false, piece, row, scratch.planes, sums);
  for (int t = 0; !row && t < rows.count; t++) {
    const float one = 1.0f;
    add_rows<T>(job, &rows.rows[t], &one, 1, piece.low, piece.high, scratch.row[0], NULL, 0, NULL);
    filter_row(job, job.filter[rows.steps[t]], t > 0, piece, scratch.row[0], scratch.planes, sums);
  }
  for (int phase = 0; interleave && phase < axis.up; phase++) {
    const int64_t pixels = (piece.end - piece.begin - phase + axis.up - 1) / axis.up;
    copy_pixels(sums + phase * (job.piece / axis.up) * channels, channels,
                target + phase * channels, axis.up * channels, pixels, channels);
  }
  finish_target(y, target, (piece.end - piece.begin) * channels);
}

// Makes row oy, and the next one too where `limit` allows and one pass over x does for both.
// Returns the number of rows made.
template <class T>
int make_rows(const Job& job, int64_t image, int64_t oy, int64_t limit, const Scratch& scratch) {
  const int64_t channels = job.spec.minor;
  const bool separable = job.separable;
  const Rows<T> rows = rows_of<T>(job, image, oy);
  const Rows<T> next = oy + 1 < limit ? rows_of<T>(job, image, oy + 1) : rows;
  const int64_t shift = next.first - rows.first;
  const bool both = separable && oy + 1 < limit && rows.count == next.count && rows.count >= 1 &&
                    rows.count <= 4 && shift >= 0 && shift <= 2;
  int64_t low = 0, high = 0;  // what scratch.row holds
  for (int64_t ox = 0; ox < job.horizontal.out; ox += job.piece) {
    const Piece piece = piece_at(job.horizontal, ox, job.piece);
    if (!separable && rows.count > 0) {
      make_piece<T>(job, image, oy, piece, NULL, rows, scratch);
      continue;
    }
    const int64_t keep = ox > 0 ? std::max<int64_t>(high - piece.low, 0) : 0;
    for (int i = 0; keep && i <= both; i++) {
      memmove(scratch.row[i], scratch.row[i] + (piece.low - low) * channels,
              keep * channels * sizeof(float));
    }
    low = piece.low;
    high = piece.high;
    add_rows<T>(job, rows.rows, rows.weights, rows.count, low + keep, high,
                scratch.row[0] + keep * channels, both ? next.weights : NULL, shift,
                both ? scratch.row[1] + keep * channels : NULL);
    for (int i = 0; i <= both; i++) {
      make_piece<T>(job, image, oy + i, piece, scratch.row[i], rows, scratch);
    }
  }
  return 1 + both;
}

template <class T>
void do_bands(void* arg, int64_t first_band, int64_t last_band) {
  Job& job = *static_cast<Job*>(arg);
  const int64_t size = floats_per_piece(job);
  const Zeros memory(5 * size * sizeof(float));
  float* floats = reinterpret_cast<float*>(memory.bytes());
  if (!floats) {
    job.status = SG_OUT_OF_MEMORY;
    return;
  }
  const Scratch scratch = {
      {floats, floats + size}, floats + 2 * size, floats + 3 * size, floats + 4 * size};
  for (int64_t unit = first_band; unit < last_band; unit++) {
    const int64_t image = unit / job.bands, top = unit % job.bands * job.band;
    const int64_t limit = std::min(top + job.band, job.vertical.out);
    for (int64_t oy = top; oy < limit;) oy += make_rows<T>(job, image, oy, limit, scratch);
  }
}

template <class T, int kUp, int kDown>
sg_range_fn resampling_of(const Job& job) {
  if (job.spec.minor == 1) return resample_planes<T, kUp, kDown>;
  if (is_streamed<T>(job.spec, job.vertical.out, job.horizontal.out, job.y)) {
    return resample_pixels<T, kUp, kDown, true>;
  }
  return resample_pixels<T, kUp, kDown, false>;
}

// The function for a job of cpu_resample.h; NULL if it is none of these.
template <class T>
sg_range_fn resampling_of(const Job& job) {
  const sg_upfirdn_2d_spec& s = job.spec;
  const bool can = s.minor == 1 || s.minor >= Wide<T>::kCount;
  if (!can || !job.separable || !resamples_by_4_taps(s)) return NULL;
  if (s.up_x == 2) return resampling_of<T, 2, 1>(job);
  return s.down_x == 2 ? resampling_of<T, 1, 2>(job) : resampling_of<T, 1, 1>(job);
}

int resample(const Job& job, sg_range_fn function, sg_parallel_for parallel_for, void* pool) {
  const sg_upfirdn_2d_spec& s = job.spec;
  const int64_t out_h = job.vertical.out, out_w = job.horizontal.out;
  Resampling resampling;
  resampling.spec = s;
  resampling.out_h = out_h;
  resampling.out_w = out_w;
  resampling.x = job.x;
  resampling.y = job.y;
  std::copy(job.taps_y, job.taps_y + 4, resampling.taps_y);
  std::copy(job.taps_x, job.taps_x + 4, resampling.taps_x);
  resampling.pairs = (out_h - first_output(s.up_y, s.pad_y0) + 1) / 2;
  resampling.status = SG_OK;
  const int64_t cost = 100 + 2 * out_w * s.minor;
  sg_for_each(parallel_for, pool, s.major * resampling.pairs, cost, function, &resampling);
  return resampling.status;
}

}  // namespace
}  // namespace stylegan2

using namespace stylegan2;

int sg_upfirdn_2d_cpu(const sg_upfirdn_2d_spec* spec, const void* x, const float* k, void* y,
                      sg_parallel_for parallel_for, void* pool) {
  const sg_upfirdn_2d_spec& s = *spec;
  int64_t out_h, out_w;
  if (!sg_upfirdn_2d_output(&s, &out_h, &out_w)) return SG_BAD_ARGUMENT;
  if (s.dtype != SG_FLOAT32 && s.dtype != SG_BFLOAT16) return SG_BAD_DTYPE;
  Job job;
  job.spec = s;
  job.x = x;
  job.y = y;
  job.status = SG_OK;
  job.vertical = Axis{s.in_h, out_h, s.taps_y, s.up_y, s.down_y, s.pad_y0};
  job.horizontal = Axis{s.in_w, out_w, s.taps_x, s.up_x, s.down_x, s.pad_x0};
  for (int i = 0; i < s.taps_y; i++) {
    for (int j = 0; j < s.taps_x; j++) {
      job.filter[i][j] = k[(s.taps_y - 1 - i) * s.taps_x + s.taps_x - 1 - j];
    }
  }
  job.separable = separate(&job);
  const sg_range_fn function =
      s.dtype == SG_FLOAT32 ? resampling_of<float>(job) : resampling_of<bfloat16>(job);
  if (function) return resample(job, function, parallel_for, pool);
  job.planar = s.minor < kManyChannels && (s.up_x > 1 || s.down_x > 1);
  const int64_t row = out_w * std::max<int64_t>(s.minor, 1);
  job.piece = std::max<int64_t>(kPieceFloats / std::max<int64_t>(s.minor, 1) / s.down_x, 1);
  job.piece = (job.piece + s.up_x - 1) / s.up_x * s.up_x;
  job.band = std::min(std::max<int64_t>(kBandFloats / row, 2), out_h);
  job.bands = (out_h + job.band - 1) / job.band;
  const int64_t rows_used = job.separable ? 1 : (s.taps_y + s.up_y - 1) / s.up_y;
  const int64_t cost = job.band * row * (1 + rows_used * s.taps_x / s.up_x) / 4;
  sg_for_each(parallel_for, pool, s.major * job.bands, cost,
              s.dtype == SG_FLOAT32 ? do_bands<float> : do_bands<bfloat16>, &job);
  return job.status;
}
