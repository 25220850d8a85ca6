// Scratch memory of the CPU kernels.
#ifndef STYLEGAN2_KERNELS_CPU_CPU_MEMORY_H_
#define STYLEGAN2_KERNELS_CPU_CPU_MEMORY_H_

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

namespace stylegan2 {
namespace {

// Memory that starts at a cache line, all zeros; freed with its owner.
class Zeros {
 public:
  explicit Zeros(size_t bytes) {
    if (posix_memalign(&memory_, 64, bytes)) memory_ = NULL;
    if (memory_) memset(memory_, 0, bytes);
  }
  ~Zeros() { free(memory_); }
  char* bytes() const { return static_cast<char*>(memory_); }

 private:
  Zeros(const Zeros&);
  void operator=(const Zeros&);
  void* memory_;
};

inline int64_t whole_lines(int64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace
}  // namespace stylegan2
#endif
