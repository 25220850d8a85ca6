// What the speed of the CPU kernels depends on, and their results only by the order of sums.
//
// "Chosen" means that nobody has measured other values. The kernels as a whole are measured with
// these: docs/performance.md, Ops. To try another value, change it here and run `bench/ops.py`.
#ifndef STYLEGAN2_KERNELS_CPU_CPU_TUNING_H_
#define STYLEGAN2_KERNELS_CPU_CPU_TUNING_H_

#include <stdint.h>

namespace stylegan2 {
namespace {

// bias_act: numbers handled at once. Three buffers of them lie in a first cache of 32 KiB. Chosen.
const int64_t kPiece = 1024;

// bias_act: numbers per unit of work, about; 128 KiB of float32. Chosen.
const int64_t kBlock = 32768;

// bias_act: pixels whose sums are added one after the other, at most: for precision too. Chosen.
const int64_t kBlockPixels = 1024;

// bias_act: channels whose partial sums one unit of work adds up: a cache line. Chosen.
const int64_t kCombined = 16;

// upfirdn_2d with any filter: numbers of a row handled at once, five buffers of them. Chosen.
const int64_t kPieceFloats = 4096;

// upfirdn_2d with any filter: numbers of the result per unit of work, about. Chosen.
const int64_t kBandFloats = 65536;

// upfirdn_2d with any filter: from so many channels on, pixels are handled one by one. Chosen.
const int kManyChannels = 16;

// upfirdn_2d of one channel: columns handled at once, a cache line of float32. Chosen.
const int kColumns = 16;

// upfirdn_2d of many channels: so many bytes ahead of the results memory is asked for. Without,
// most of the time is spent waiting to write; other distances were not measured.
const int kWriteAhead = 64;

// upfirdn_2d of many channels: bytes of the result from which on it does not stay in the caches
// anyway. Not to read it before it is written saves more time than the next reader loses. Chosen.
const int64_t kStreamedBytes = 16 << 20;

// All ops in TensorFlow's threads: CPU cycles of work worth a thread; to wake one costs several
// thousand. Chosen.
const int64_t kWorthAThread = 40000;

// All ops: pieces of work per thread, since threads are not equally fast. Chosen.
const int64_t kPiecesPerThread = 4;

}  // namespace
}  // namespace stylegan2
#endif
