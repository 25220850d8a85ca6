// cpu_resample.h for images of many channels.
//
// One pass over the channels of a pixel adds up the rows of x, keeps these sums for the pixels to
// come, and writes the result. So x streams in while y streams out, and all between the two stays
// in registers and the first cache.
#ifndef STYLEGAN2_KERNELS_CPU_CPU_RESAMPLE_PIXELS_H_
#define STYLEGAN2_KERNELS_CPU_CPU_RESAMPLE_PIXELS_H_

#include "cpu/cpu_resample.h"
#include "cpu/cpu_tuning.h"
#include "cpu/cpu_vectors.h"

namespace stylegan2 {
namespace {

// Whether y can be streamed and should be: all that is written must be whole cache lines.
template <class T>
bool is_streamed(const sg_upfirdn_2d_spec& s, int64_t out_h, int64_t out_w, const void* y) {
  const int64_t pixel = s.minor * sizeof(T);
  return kCanStream && s.major * out_h * out_w * pixel >= kStreamedBytes && pixel % 64 == 0 &&
         reinterpret_cast<uintptr_t>(y) % 64 == 0;
}

// What a step to the right reads and writes.
template <class T, int kUp, int kDown>
struct Step {
  typedef Reach<kUp, kDown> R;
  const T* in[R::kRows][R::kNew];
  Wide<T>* kept[2][R::kKept];  // sums of rows for earlier pixels; the oldest are replaced
  T* out[2][R::kMade];
};

struct Weights {
  Floats y[2][4], x[2][4];  // for two neighbours in y
};

template <class T, int kUp, int kDown>
struct PixelScratch {
  typedef Reach<kUp, kDown> R;
  int64_t blocks;              // of channels
  Wide<T>* kept[2][R::kKept];  // [blocks]
  T *zeros, *unused;           // stand for pixels outside of x and of y
};

// Does a step for the channels that start at c; their sums are kept at `block`.
template <class T, int kUp, int kDown, bool kStream>
inline void do_channels(const Step<T, kUp, kDown>& step, const Weights& weights, int64_t c,
                        int64_t block) {
  typedef Reach<kUp, kDown> R;
  Wide<T> window[2][R::kTaps];
#pragma GCC unroll 2
  for (int j = 0; j < R::kNew; j++) {
    Wide<T> in[R::kRows];
#pragma GCC unroll 8
    for (int i = 0; i < R::kRows; i++) load(step.in[i][j] + c, &in[i]);
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
      window[i][R::kKept + j] = weighted_sum<T, R::kTaps>(in + i * R::kShift, weights.y[i]);
    }
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
#pragma GCC unroll 4
    for (int t = 0; t < R::kKept; t++) window[i][t] = step.kept[i][t][block];
#pragma GCC unroll 2
    for (int m = 0; m < R::kMade; m++) {
      T* out = step.out[i][m] + c;
      if (!kStream) __builtin_prefetch(out + kWriteAhead / sizeof(T), 1);
      store<kStream>(weighted_sum<T, R::kTaps>(window[i], weights.x[m]), out);
    }
#pragma GCC unroll 2
    for (int j = 0; j < R::kNew; j++) step.kept[i][j][block] = window[i][R::kKept + j];
  }
}

template <class T, int kUp, int kDown, bool kStream>
void do_step(const Step<T, kUp, kDown>& given, const Weights& given_weights, int64_t channels) {
  const Step<T, kUp, kDown> step = given;  // copies, which no write to y can change
  const Weights weights = given_weights;
  const int64_t whole = channels / Wide<T>::kCount;
  for (int64_t block = 0; block < whole; block++) {
    do_channels<T, kUp, kDown, kStream>(step, weights, block * Wide<T>::kCount, block);
  }
  // The last channels along with some before them, which get the same values once more.
  if (whole * Wide<T>::kCount < channels) {
    do_channels<T, kUp, kDown, kStream>(step, weights, channels - Wide<T>::kCount, whole);
  }
}

// Makes rows oy and oy + 1 of an image, those that exist.
template <class T, int kUp, int kDown, bool kStream>
void make_row_pair(const Resampling& job, const Weights& weights, int64_t image, int64_t oy,
                   const PixelScratch<T, kUp, kDown>& scratch) {
  typedef Reach<kUp, kDown> R;
  const sg_upfirdn_2d_spec& s = job.spec;
  const int64_t channels = s.minor;
  const int64_t iy = first_input(kUp, kDown, s.pad_y0, oy);
  const int64_t ox = first_output(kUp, s.pad_x0);
  const int64_t ix = first_input(kUp, kDown, s.pad_x0, ox) + R::kKept;
  const T* x = static_cast<const T*>(job.x) + image * s.in_h * s.in_w * channels;
  T* y = static_cast<T*>(job.y) + image * job.out_h * job.out_w * channels;
  const int64_t lead = (R::kKept + R::kNew - 1) / R::kNew;  // steps until all sums are there
  for (int64_t q = -lead; ox + q * R::kMade < job.out_w; q++) {
    Step<T, kUp, kDown> step;
    for (int j = 0; j < R::kNew; j++) {
      const int64_t from = ix + q * R::kNew + j;
      for (int i = 0; i < R::kRows; i++) {
        const bool exists = from >= 0 && from < s.in_w && iy + i >= 0 && iy + i < s.in_h;
        step.in[i][j] = exists ? x + ((iy + i) * s.in_w + from) * channels : scratch.zeros;
      }
    }
    for (int i = 0; i < 2; i++) {
      for (int m = 0; m < R::kMade; m++) {
        const int64_t to = ox + q * R::kMade + m;
        const bool exists =
            q >= 0 && to >= 0 && to < job.out_w && oy + i >= 0 && oy + i < job.out_h;
        step.out[i][m] = exists ? y + ((oy + i) * job.out_w + to) * channels : scratch.unused;
      }
      for (int t = 0; t < R::kKept; t++) {  // oldest first
        step.kept[i][t] = scratch.kept[i][(t + (q + lead) * R::kNew) % R::kKept];
      }
    }
    do_step<T, kUp, kDown, kStream>(step, weights, channels);
  }
}

template <class T, int kUp, int kDown, bool kStream>
void resample_pixels(void* arg, int64_t begin, int64_t end) {
  typedef Reach<kUp, kDown> R;
  Resampling& job = *static_cast<Resampling*>(arg);
  const int64_t channels = job.spec.minor;
  PixelScratch<T, kUp, kDown> scratch;
  scratch.blocks = (channels + Wide<T>::kCount - 1) / Wide<T>::kCount;
  const int64_t kept = scratch.blocks * sizeof(Wide<T>), pixel = whole_lines(channels * sizeof(T));
  const Zeros memory(2 * R::kKept * kept + 2 * pixel);
  if (!memory.bytes()) {
    job.status = SG_OUT_OF_MEMORY;
    return;
  }
  char* next = memory.bytes();
  Weights weights;
  for (int i = 0; i < 2; i++) {
    for (int t = 0; t < R::kKept; t++, next += kept) {
      scratch.kept[i][t] = reinterpret_cast<Wide<T>*>(next);
    }
    for (int t = 0; t < R::kTaps; t++) {
      weights.y[i][t] = Floats() + job.taps_y[tap_of<kUp>(i, t)];
      weights.x[i][t] = Floats() + job.taps_x[tap_of<kUp>(i, t)];
    }
  }
  scratch.zeros = reinterpret_cast<T*>(next);
  scratch.unused = reinterpret_cast<T*>(next + pixel);
  const int64_t first = first_output(kUp, job.spec.pad_y0);
  for (int64_t unit = begin; unit < end; unit++) {
    make_row_pair<T, kUp, kDown, kStream>(job, weights, unit / job.pairs,
                                          first + unit % job.pairs * 2, scratch);
  }
  if (kStream) finish_streams();
}

}  // namespace
}  // namespace stylegan2
#endif
