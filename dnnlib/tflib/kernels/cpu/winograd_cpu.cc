// winograd.h for CPUs: a register of channels at a time, a tile in registers.
#include "winograd.h"

#include <string.h>

#include <algorithm>
#include <atomic>

#include "cpu/cpu_memory.h"
#include "cpu/cpu_vectors.h"

namespace stylegan2 {
namespace {

static_assert(SG_WINOGRAD_CHANNELS % kLanes == 0, "registers are filled with channels");

// The matrices L, one axis: planes p of pixels x, and the adjoint.
struct Input1 {
  enum { kPlanes = 4, kSize = 4, kStep = 2 };
  static void apply(const Floats* x, Floats* p) {
    p[0] = x[0] - x[2];
    p[1] = x[1] + x[2];
    p[2] = x[2] - x[1];
    p[3] = x[1] - x[3];
  }
  static void adjoint(const Floats* p, Floats* x) {
    x[0] = p[0];
    x[1] = p[1] - p[2] + p[3];
    x[2] = p[1] + p[2] - p[0];
    x[3] = -p[3];
  }
};

struct Output1 {
  enum { kPlanes = 4, kSize = 2, kStep = 2 };
  static void apply(const Floats* x, Floats* p) {
    p[0] = x[0];
    p[1] = x[0] + x[1];
    p[2] = x[0] - x[1];
    p[3] = -x[1];
  }
  static void adjoint(const Floats* p, Floats* x) {
    x[0] = p[0] + p[1] + p[2];
    x[1] = p[1] - p[2] - p[3];
  }
};

// Even pixels meet the outer taps, odd ones the middle tap.
struct Input2 {
  enum { kPlanes = 5, kSize = 5, kStep = 4 };
  static void apply(const Floats* x, Floats* p) {
    p[0] = x[0] - x[2];
    p[1] = x[2];
    p[2] = x[2] - x[4];
    p[3] = x[1];
    p[4] = x[3];
  }
  static void adjoint(const Floats* p, Floats* x) {
    x[0] = p[0];
    x[1] = p[3];
    x[2] = p[1] + p[2] - p[0];
    x[3] = p[4];
    x[4] = -p[2];
  }
};

struct Output2 {
  enum { kPlanes = 5, kSize = 2, kStep = 2 };
  static void apply(const Floats* x, Floats* p) {
    p[0] = x[0];
    p[1] = x[0] + x[1];
    p[2] = -x[1];
    p[3] = x[0];
    p[4] = x[1];
  }
  static void adjoint(const Floats* p, Floats* x) {
    x[0] = p[0] + p[1] + p[3];
    x[1] = p[1] - p[2] + p[4];
  }
};

struct Job {
  sg_winograd_spec spec;
  const float* from;
  float* to;
  std::atomic<int> status;

  int64_t tiles() const { return spec.images * spec.tile_rows * spec.tile_columns; }
};

template <class L>
void transform_rows(void* arg, int64_t begin, int64_t end) {
  Job& job = *static_cast<Job*>(arg);
  const sg_winograd_spec& s = job.spec;
  const int64_t plane = job.tiles() * s.channels;
  const Zeros memory(s.channels * sizeof(float));
  const float* zeros = reinterpret_cast<const float*>(memory.bytes());
  if (!zeros) {
    job.status = SG_OUT_OF_MEMORY;
    return;
  }
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t image = unit / s.tile_rows, top = unit % s.tile_rows * L::kStep - s.pad;
    for (int64_t tile = 0; tile < s.tile_columns; tile++) {
      const int64_t left = tile * L::kStep - s.pad;
      const float* pixels[L::kSize][L::kSize];
      for (int i = 0; i < L::kSize; i++) {
        for (int j = 0; j < L::kSize; j++) {
          const int64_t y = top + i, x = left + j;
          const bool inside = y >= 0 && y < s.height && x >= 0 && x < s.width;
          pixels[i][j] =
              inside ? job.from + ((image * s.height + y) * s.width + x) * s.channels : zeros;
        }
      }
      float* target = job.to + (unit * s.tile_columns + tile) * s.channels;
      for (int64_t c = 0; c < s.channels; c += kLanes) {
        Floats columns[L::kSize][L::kPlanes];
        for (int j = 0; j < L::kSize; j++) {
          Floats column[L::kSize];
          for (int i = 0; i < L::kSize; i++) memcpy(&column[i], pixels[i][j] + c, sizeof(Floats));
          L::apply(column, columns[j]);
        }
        for (int p = 0; p < L::kPlanes; p++) {
          Floats row[L::kSize], planes[L::kPlanes];
          for (int j = 0; j < L::kSize; j++) row[j] = columns[j][p];
          L::apply(row, planes);
          for (int q = 0; q < L::kPlanes; q++) {
            memcpy(target + (p * L::kPlanes + q) * plane + c, &planes[q], sizeof(Floats));
          }
        }
      }
    }
  }
}

// Of the adjoint, which makes step x step pixels at a time, of up to four tiles: adds rows [kFirst,
// kFirst + kStep) of what a tile's planes become.
template <class L, int kFirst>
void add_tile(const float* planes, int64_t plane, Floats (*sums)[L::kSize]) {
  Floats columns[L::kPlanes][L::kSize];
  for (int q = 0; q < L::kPlanes; q++) {
    Floats column[L::kPlanes];
    for (int p = 0; p < L::kPlanes; p++) {
      memcpy(&column[p], planes + (p * L::kPlanes + q) * plane, sizeof(Floats));
    }
    L::adjoint(column, columns[q]);
  }
  for (int i = kFirst; i < std::min<int>(kFirst + L::kStep, L::kSize); i++) {
    Floats row[L::kPlanes], pixels[L::kSize];
    for (int q = 0; q < L::kPlanes; q++) row[q] = columns[q][i];
    L::adjoint(row, pixels);
    for (int j = 0; j < L::kSize; j++) sums[i - kFirst][j] += pixels[j];
  }
}

template <class L>
void adjoint_rows(void* arg, int64_t begin, int64_t end) {
  Job& job = *static_cast<Job*>(arg);
  const sg_winograd_spec& s = job.spec;
  const int kOverlap = L::kSize - L::kStep;
  const int64_t plane = job.tiles() * s.channels;
  const int64_t rows = (s.height + s.pad + L::kStep - 1) / L::kStep;
  const int64_t columns = (s.width + s.pad + L::kStep - 1) / L::kStep;
  const int64_t carried = L::kStep * kOverlap * s.channels;  // what tiles have right of them
  const Zeros memory((carried + 1) * sizeof(float));
  float* const carry = reinterpret_cast<float*>(memory.bytes());
  if (!carry) {
    job.status = SG_OUT_OF_MEMORY;
    return;
  }
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t image = unit / rows, row = unit % rows;
    std::fill(carry, carry + carried, 0.0f);
    for (int64_t column = 0; column < columns; column++) {
      const float* tile = NULL;
      if (row < s.tile_rows && column < s.tile_columns) {
        tile = job.from + ((image * s.tile_rows + row) * s.tile_columns + column) * s.channels;
      }
      const float* above = NULL;
      if (kOverlap && row > 0 && row <= s.tile_rows && column < s.tile_columns) {
        above = job.from + ((image * s.tile_rows + row - 1) * s.tile_columns + column) * s.channels;
      }
      float* pixels[L::kStep][L::kStep];
      for (int i = 0; i < L::kStep; i++) {
        for (int j = 0; j < L::kStep; j++) {
          const int64_t y = row * L::kStep - s.pad + i, x = column * L::kStep - s.pad + j;
          const bool inside = y >= 0 && y < s.height && x >= 0 && x < s.width;
          pixels[i][j] =
              inside ? job.to + ((image * s.height + y) * s.width + x) * s.channels : NULL;
        }
      }
      for (int64_t c = 0; c < s.channels; c += kLanes) {
        Floats sums[L::kStep][L::kSize] = {};
        if (tile) add_tile<L, 0>(tile + c, plane, sums);
        if (above) add_tile<L, L::kStep>(above + c, plane, sums);
        for (int i = 0; i < L::kStep; i++) {
          for (int j = 0; j < kOverlap; j++) {
            float* kept = &carry[(i * kOverlap + j) * s.channels + c];
            Floats left;
            memcpy(&left, kept, sizeof(Floats));
            sums[i][j] += left;
            memcpy(kept, &sums[i][L::kStep + j], sizeof(Floats));
          }
          for (int j = 0; j < L::kStep; j++) {
            if (pixels[i][j]) memcpy(pixels[i][j] + c, &sums[i][j], sizeof(Floats));
          }
        }
      }
    }
  }
}

template <class L>
int run(const sg_winograd_spec& s, bool adjoint, const float* from, float* to,
        sg_parallel_for parallel_for, void* pool) {
  Job job;
  job.spec = s;
  job.from = from;
  job.to = to;
  job.status = SG_OK;
  const int64_t rows = adjoint ? (s.height + s.pad + L::kStep - 1) / L::kStep : s.tile_rows;
  const int64_t cost = s.tile_columns * s.channels * L::kPlanes * L::kPlanes / 2;
  sg_for_each(parallel_for, pool, s.images * rows, cost,
              adjoint ? adjoint_rows<L> : transform_rows<L>, &job);
  return job.status;
}

int run(const sg_winograd_spec& s, bool adjoint, const float* from, float* to,
        sg_parallel_for parallel_for, void* pool) {
  if (s.images < 0 || s.height < 1 || s.width < 1 || s.channels < 1 ||
      s.channels % SG_WINOGRAD_CHANNELS || s.tile_rows < 1 || s.tile_columns < 1 || s.pad < 0) {
    return SG_BAD_ARGUMENT;
  }
  switch (s.matrix) {
    case SG_WINOGRAD_INPUT_1: return run<Input1>(s, adjoint, from, to, parallel_for, pool);
    case SG_WINOGRAD_OUTPUT_1: return run<Output1>(s, adjoint, from, to, parallel_for, pool);
    case SG_WINOGRAD_INPUT_2: return run<Input2>(s, adjoint, from, to, parallel_for, pool);
    case SG_WINOGRAD_OUTPUT_2: return run<Output2>(s, adjoint, from, to, parallel_for, pool);
  }
  return SG_BAD_ARGUMENT;
}

}  // namespace
}  // namespace stylegan2

int sg_winograd_cpu(const sg_winograd_spec* spec, const float* x, float* planes,
                    sg_parallel_for parallel_for, void* pool) {
  return stylegan2::run(*spec, false, x, planes, parallel_for, pool);
}

int sg_winograd_adjoint_cpu(const sg_winograd_spec* spec, const float* planes, float* x,
                            sg_parallel_for parallel_for, void* pool) {
  return stylegan2::run(*spec, true, planes, x, parallel_for, pool);
}
