// parallel.h's sg_parallel_for in TensorFlow's threads.
//
// ThreadPool::ParallelFor does not do: how std::function passes arguments has changed since the
// compiler of TensorFlow 1.14's wheel. Functions without arguments still fit.
#ifndef STYLEGAN2_KERNELS_BINDING_TF_PARALLEL_H_
#define STYLEGAN2_KERNELS_BINDING_TF_PARALLEL_H_

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "cpu/cpu_tuning.h"
#include "parallel.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace stylegan2 {

// A job that several threads take pieces of until none is left.
class SharedJob {
 public:
  SharedJob(int64_t total, int64_t piece, sg_range_fn function, void* arg)
      : total_(total), piece_(piece), function_(function), arg_(arg), next_(0), done_(0) {}

  void take_part() {
    for (;;) {
      const int64_t begin = next_.fetch_add(piece_);
      if (begin >= total_) return;
      const int64_t end = std::min(begin + piece_, total_);
      function_(arg_, begin, end);
      std::lock_guard<std::mutex> lock(mutex_);
      done_ += end - begin;
      if (done_ == total_) all_done_.notify_all();
    }
  }

  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    all_done_.wait(lock, [this] { return done_ == total_; });
  }

 private:
  const int64_t total_, piece_;
  const sg_range_fn function_;
  void* const arg_;
  std::atomic<int64_t> next_;
  int64_t done_;
  std::mutex mutex_;
  std::condition_variable all_done_;
};

// An sg_parallel_for whose `pool` is a tensorflow::thread::ThreadPool. The calling thread works
// too, so that a busy pool delays but never blocks.
inline void parallel_for(void* pool, int64_t total, int64_t cost_per_unit, sg_range_fn function,
                         void* arg) {
  tensorflow::thread::ThreadPool* threads = static_cast<tensorflow::thread::ThreadPool*>(pool);
  const int64_t units = std::max<int64_t>(kWorthAThread / std::max<int64_t>(cost_per_unit, 1), 1);
  const int64_t workers = std::min<int64_t>(threads->NumThreads(), (total + units - 1) / units);
  if (workers <= 1) {
    function(arg, 0, total);
    return;
  }
  const int64_t pieces = workers * kPiecesPerThread;
  const int64_t piece = std::max(std::min(units, total), (total + pieces - 1) / pieces);
  auto job = std::make_shared<SharedJob>(total, piece, function, arg);
  for (int64_t i = 1; i < workers; ++i) threads->Schedule([job] { job->take_part(); });
  job->take_part();
  job->wait();
}

}  // namespace stylegan2
#endif
