// What the speed of the CUDA kernels depends on, and their results only by the order of sums.
//
// All are chosen, none is measured: no GPU was at hand when they were. `bench/cuda_kernels.py`
// measures the kernels.
#ifndef STYLEGAN2_KERNELS_CUDA_CUDA_TUNING_CUH_
#define STYLEGAN2_KERNELS_CUDA_CUDA_TUNING_CUH_

#include <stdint.h>

namespace stylegan2 {
namespace {

const int kThreads = 256;     // per block
const int kVectorBytes = 16;  // that a thread reads or writes at once, the most there is

// bias_act: numbers of a row that one warp adds up, and of a column that one block does.
const int64_t kRowChunk = 4096;
const int64_t kColumnChunk = 256;

// channel_sum of images with channels first: vectors that a thread reads before it adds the first.
const int kAhead = 8;

// upfirdn_2d in tiles: filters of so many taps at most, in blocks so many threads wide, or half as
// wide for narrow images. A thread makes so many results, one above the other, of one or, with an
// upsampling of 2, two columns; half as many for low images.
const int kTaps = 4;
const int kTileWide = 32;
const int kResults = 8;
const int kResultsDown = 4;  // with a downsampling of 2

// upfirdn_2d in tiles: images of more cells than this (see there) in both axes; the smallest tiles
// of others would be mostly empty.
const int kSmallImage = kTileWide / 4;

}  // namespace
}  // namespace stylegan2
#endif
