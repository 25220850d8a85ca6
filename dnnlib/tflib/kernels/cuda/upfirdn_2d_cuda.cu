// upfirdn_2d.h for CUDA: tiles in shared memory for small filters and the usual factors on images
// with channels first; for all else one thread per number of the result, or per vector of channels.
#include "cuda/cuda_tuning.cuh"
#include "cuda/cuda_types.h"
#include "upfirdn_2d.h"

namespace stylegan2 {
namespace {

struct Shape {
  sg_upfirdn_2d_spec spec;
  int64_t out_h, out_w;
};

template <class Int>
SG_INLINE Int floor_div(Int a, Int b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

// The tap with which the first pixel that output o looks at is multiplied, counted from the end of
// the filter, and that pixel.
SG_INLINE int first_step(int64_t o, int up, int down, int pad0, int64_t* pixel) {
  const int64_t start = o * down - pad0;
  *pixel = -floor_div<int64_t>(-start, up);
  return static_cast<int>(*pixel * up - start);
}

// kVec: channels of a thread.
template <class T, int kVec, class Index>
__global__ void any_filter(Shape shape, const T* x, const float* k, T* y, Index total) {
  const Index at = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= total) return;
  const sg_upfirdn_2d_spec& s = shape.spec;
  const Index vectors = static_cast<Index>(s.minor) / kVec, pixel = at / vectors;
  const Index out_w = static_cast<Index>(shape.out_w), row_at = pixel / out_w;
  const Index out_h = static_cast<Index>(shape.out_h), image = row_at / out_h;
  const Index channel = (at - pixel * vectors) * kVec;
  int64_t left, iy;
  const int step_x = first_step(pixel - row_at * out_w, s.up_x, s.down_x, s.pad_x0, &left);
  int i = first_step(row_at - image * out_h, s.up_y, s.down_y, s.pad_y0, &iy);
  float sum[kVec] = {0};
  for (; i < s.taps_y; i += s.up_y, iy++) {
    if (iy < 0 || iy >= s.in_h) continue;
    const T* row = x + (image * s.in_h + iy) * s.in_w * s.minor + channel;
    const float* taps = k + (s.taps_y - 1 - i) * s.taps_x + s.taps_x - 1;
    int64_t ix = left;
    for (int j = step_x; j < s.taps_x; j += s.up_x, ix++) {
      if (ix < 0 || ix >= s.in_w) continue;
      const float tap = taps[-j];
      float seen[kVec];
      load<T, kVec>(row + ix * s.minor, seen);
#pragma unroll
      for (int v = 0; v < kVec; v++) sum[v] += tap * seen[v];
    }
  }
  store<T, kVec>(sum, y + at * kVec);
}

// What a block of small_filter makes: kWide cells of kUp x kUp numbers side by side, and kThreads /
// kWide times kRows, which are one thread's, one above the other.
template <int kUp, int kDown, int kWide, int kRows>
struct Cells {
  static const int kHigh = kThreads / kWide * kRows;
  static const int kSpan = kUp > 1 ? 3 : kTaps;  // pixels that one cell looks at, in either axis
  static const int kTileW = (kWide - 1) * kDown + kSpan;
  static const int kTileH = (kHigh - 1) * kDown + kSpan;
  static const int kSeen = (kRows - 1) * kDown + kSpan;  // rows that one thread looks at

  // Where column j of the tile lies in shared memory. With down 2 the even ones come first: threads
  // side by side read every other column, and would share banks; kOdd is 16 more than a multiple
  // of their number, so that they do not when they write either.
  static const int kOdd = ((kTileW + 1) / 2 + 15) / 32 * 32 + 16;
  static const int kWidth = kDown == 2 ? kOdd + kTileW / 2 : kTileW;
  static SG_MEMBER int place(int j) { return kDown == 2 ? j % 2 * kOdd + j / 2 : j; }
};

// Cell c of an axis with up 2 holds outputs 2 c + offset and the next: the first of them starts
// with the filter's last tap. Cells of other axes are single outputs.
SG_BOTH int cell_offset(int up, int pad0) { return up > 1 && pad0 % 2 != 0 ? -1 : 0; }

// up and down are kUp and kDown in both axes, minor is 1, the filter at most kTaps x kTaps, and a
// plane of x or y has less than 2^31 pixels.
template <class T, int kUp, int kDown, int kWide, int kRows>
__global__ void small_filter(Shape shape, const T* x, const float* k, T* y, int tiles_x,
                             int tiles_y) {
  typedef Cells<kUp, kDown, kWide, kRows> C;
  __shared__ float tile[C::kTileH][C::kWidth];
  __shared__ float flipped[kTaps][kTaps];  // as the pixels meet it; zeros after its end
  const sg_upfirdn_2d_spec& s = shape.spec;
  const int in_h = static_cast<int>(s.in_h), in_w = static_cast<int>(s.in_w);
  const int out_h = static_cast<int>(shape.out_h), out_w = static_cast<int>(shape.out_w);
  const int tx = threadIdx.x % kWide, ty = threadIdx.x / kWide;
  const int64_t image = blockIdx.x / (tiles_x * tiles_y);
  const int cell_x = static_cast<int>(blockIdx.x) % tiles_x * kWide;
  const int cell_y = static_cast<int>(blockIdx.x) / tiles_x % tiles_y * C::kHigh;
  const int offset_x = cell_offset(kUp, s.pad_x0), offset_y = cell_offset(kUp, s.pad_y0);
  const int left = floor_div((cell_x * kUp + offset_x) * kDown - s.pad_x0, kUp);
  const int top = floor_div((cell_y * kUp + offset_y) * kDown - s.pad_y0, kUp);
  const T* from = x + image * in_h * in_w;
  T* to = y + image * out_h * out_w;

  if (threadIdx.x < kTaps * kTaps) {
    const int i = threadIdx.x / kTaps, j = threadIdx.x % kTaps;
    const bool inside = i < s.taps_y && j < s.taps_x;
    flipped[i][j] = inside ? k[(s.taps_y - 1 - i) * s.taps_x + s.taps_x - 1 - j] : 0.0f;
  }
  for (int i = ty; i < C::kTileH; i += kThreads / kWide) {
    const bool row_inside = top + i >= 0 && top + i < in_h;
    for (int j = tx; j < C::kTileW; j += kWide) {
      const bool inside = row_inside && left + j >= 0 && left + j < in_w;
      tile[i][C::place(j)] = inside ? to_float(from[(top + i) * in_w + left + j]) : 0.0f;
    }
  }
  __syncthreads();

  float f[kTaps][kTaps], sums[kRows][kUp][kUp] = {{{0}}};
#pragma unroll
  for (int i = 0; i < kTaps; i++) {
#pragma unroll
    for (int j = 0; j < kTaps; j++) f[i][j] = flipped[i][j];
  }
#pragma unroll
  for (int i = 0; i < C::kSeen; i++) {
    float seen[C::kSpan];
#pragma unroll
    for (int j = 0; j < C::kSpan; j++) {
      seen[j] = tile[ty * kRows * kDown + i][C::place(tx * kDown + j)];
    }
    // Output a of cell r sees row i as its row t; with up 2, tap 2 t - a, if there is one.
#pragma unroll
    for (int r = 0; r < kRows; r++) {
      const int t = i - r * kDown;
#pragma unroll
      for (int a = 0; a < kUp; a++) {
        const int tap_y = t * kUp - a;
        if (t < 0 || tap_y < 0 || tap_y >= kTaps) continue;
#pragma unroll
        for (int b = 0; b < kUp; b++) {
#pragma unroll
          for (int j = 0; j < C::kSpan; j++) {
            const int tap_x = j * kUp - b;
            if (tap_x >= 0 && tap_x < kTaps) sums[r][a][b] += f[tap_y][tap_x] * seen[j];
          }
        }
      }
    }
  }
  const int first = (cell_x + tx) * kUp + offset_x;
  const bool pairs = kUp == 2 && offset_x == 0 && out_w % 2 == 0 && is_aligned(to, 2 * sizeof(T));
#pragma unroll
  for (int r = 0; r < kRows; r++) {
#pragma unroll
    for (int a = 0; a < kUp; a++) {
      const int oy = (cell_y + ty * kRows + r) * kUp + offset_y + a;
      if (oy < 0 || oy >= out_h) continue;
      T* row = to + oy * out_w;
      if (pairs) {
        if (first < out_w) store<T, kUp>(sums[r][a], row + first);
        continue;
      }
#pragma unroll
      for (int b = 0; b < kUp; b++) {
        const int ox = first + b;
        if (ox >= 0 && ox < out_w) from_float(sums[r][a][b], &row[ox]);
      }
    }
  }
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Cells of one axis.
int64_t cells_of(int64_t out, int up, int pad0) {
  return ceil_div(out - cell_offset(up, pad0), up);
}

template <class T, int kUp, int kDown, int kWide, int kRows>
void launch_tiles(const Shape& shape, const T* x, const float* k, T* y, void* stream) {
  const sg_upfirdn_2d_spec& s = shape.spec;
  const int64_t tiles_x = ceil_div(cells_of(shape.out_w, kUp, s.pad_x0), kWide);
  const int64_t tiles_y =
      ceil_div(cells_of(shape.out_h, kUp, s.pad_y0), Cells<kUp, kDown, kWide, kRows>::kHigh);
  const unsigned blocks = static_cast<unsigned>(s.major * tiles_x * tiles_y);
  SG_LAUNCH((small_filter<T, kUp, kDown, kWide, kRows>), blocks, kThreads, stream, shape, x, k, y,
            static_cast<int>(tiles_x), static_cast<int>(tiles_y));
}

// Tiles that are not mostly empty.
template <class T, int kUp, int kDown>
void launch_small(const Shape& shape, const T* x, const float* k, T* y, void* stream) {
  const int kRows = kDown > 1 ? kResultsDown : kResults / kUp;
  const int64_t width = cells_of(shape.out_w, kUp, shape.spec.pad_x0);
  const int64_t height = cells_of(shape.out_h, kUp, shape.spec.pad_y0);
  if (width <= kTileWide / 2) {
    launch_tiles<T, kUp, kDown, kTileWide / 2, 1>(shape, x, k, y, stream);
  } else if (height <= kThreads / kTileWide * kRows / 2) {
    launch_tiles<T, kUp, kDown, kTileWide, kRows / 2>(shape, x, k, y, stream);
  } else {
    launch_tiles<T, kUp, kDown, kTileWide, kRows>(shape, x, k, y, stream);
  }
}

template <class T, int kVec, class Index>
void launch_any(const Shape& shape, const T* x, const float* k, T* y, void* stream) {
  const int64_t total = shape.spec.major * shape.out_h * shape.out_w * (shape.spec.minor / kVec);
  const unsigned blocks = static_cast<unsigned>(ceil_div(total, kThreads));
  SG_LAUNCH((any_filter<T, kVec, Index>), blocks, kThreads, stream, shape, x, k, y,
            static_cast<Index>(total));
}

template <class T>
int launch(const Shape& shape, const void* from, const float* k, void* to, void* stream) {
  const sg_upfirdn_2d_spec& s = shape.spec;
  const int kVec = kVectorBytes / sizeof(T);
  const T* x = static_cast<const T*>(from);
  T* y = static_cast<T*>(to);
  const int64_t total = s.major * shape.out_h * shape.out_w * s.minor;
  if (total == 0) return SG_OK;
  const bool square = s.up_x == s.up_y && s.down_x == s.down_y;
  const bool small = s.taps_x <= kTaps && s.taps_y <= kTaps;
  const int64_t limit = int64_t(1) << 31;
  const bool large = cells_of(shape.out_w, s.up_x, s.pad_x0) > kSmallImage &&
                     cells_of(shape.out_h, s.up_y, s.pad_y0) > kSmallImage;
  const bool tiles = square && small && large && s.minor == 1 && s.in_h * s.in_w < limit &&
                     shape.out_h * shape.out_w < limit;
  if (tiles && s.up_x == 1 && s.down_x == 1) {
    launch_small<T, 1, 1>(shape, x, k, y, stream);
  } else if (tiles && s.up_x == 2 && s.down_x == 1) {
    launch_small<T, 2, 1>(shape, x, k, y, stream);
  } else if (tiles && s.up_x == 1 && s.down_x == 2) {
    launch_small<T, 1, 2>(shape, x, k, y, stream);
  } else if (total >= limit) {
    launch_any<T, 1, int64_t>(shape, x, k, y, stream);
  } else if (s.minor % kVec == 0 && is_aligned(x, kVectorBytes) && is_aligned(y, kVectorBytes)) {
    launch_any<T, kVec, uint32_t>(shape, x, k, y, stream);
  } else {
    launch_any<T, 1, uint32_t>(shape, x, k, y, stream);
  }
  return launch_status();
}

}  // namespace
}  // namespace stylegan2

using namespace stylegan2;

int sg_upfirdn_2d_cuda(const sg_upfirdn_2d_spec* spec, const void* x, const float* k, void* y,
                       void* stream) {
  const sg_upfirdn_2d_spec& s = *spec;
  Shape shape = {s, 0, 0};
  if (!sg_upfirdn_2d_output(&s, &shape.out_h, &shape.out_w)) return SG_BAD_ARGUMENT;
  switch (s.dtype) {
    case SG_FLOAT32: return launch<float>(shape, x, k, y, stream);
    case SG_FLOAT16: return launch<__half>(shape, x, k, y, stream);
    case SG_BFLOAT16: return launch<__nv_bfloat16>(shape, x, k, y, stream);
  }
  return SG_BAD_DTYPE;
}
