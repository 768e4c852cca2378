// Checks, scratch memory, and the packing of weights and of partial sums.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <memory>
#include <utility>
#include <vector>

#include "tile.h"

namespace naslib {

inline void check_layout(const at::Tensor& x) {
  TORCH_CHECK(x.device().is_cpu() && x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast),
              "naslib_native: expected a dense channels_last tensor on the CPU");
}

template <class T>
Shape<T> make_shape(at::IntArrayRef sizes, const at::Tensor& weight, int64_t stride, int64_t padding,
                        int64_t dilation, int64_t out_channels) {
  const int64_t K = weight.size(-1);
  TORCH_CHECK(weight.dim() == 4 && weight.size(0) == sizes[1] && weight.size(1) == 1 && weight.size(2) == K,
              "naslib_native: expected a square depthwise kernel for ", sizes[1], " channels");
  TORCH_CHECK((K == 3 || K == 5 || K == 7) && (stride == 1 || stride == 2) && (dilation == 1 || dilation == 2) &&
                  padding >= 0 && padding <= (K - 1) * dilation,
              "naslib_native: kernel ", K, ", stride ", stride, ", padding ", padding, ", dilation ", dilation,
              " is not supported");
  TORCH_CHECK(sizes[0] > 0 && sizes[1] > 0 && sizes[2] + 2 * padding > (K - 1) * dilation &&
                  sizes[3] + 2 * padding > (K - 1) * dilation,
              "naslib_native: the output would be empty");
  return Shape<T>(sizes[1], sizes[2], sizes[3], K, stride, padding, dilation, out_channels);
}

// Uninitialised memory, aligned to a cache line; each thread keeps what it used, since asking for fresh pages costs
// as much as a small kernel.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t size) {
    const size_t bytes = size * sizeof(T) + 64;
    auto& kept = pool();
    if (!kept.empty()) {
      memory_ = std::move(kept.back());
      kept.pop_back();
    }
    if (memory_.size() < bytes) memory_ = std::vector<char, Uninitialised>(bytes);
  }
  ~Scratch() { pool().push_back(std::move(memory_)); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* get() { return reinterpret_cast<T*>((reinterpret_cast<std::uintptr_t>(memory_.data()) + 63) / 64 * 64); }

 private:
  struct Uninitialised : std::allocator<char> {
    template <class U>
    struct rebind {
      typedef Uninitialised other;
    };
    void construct(char*) {}
  };
  static std::vector<std::vector<char, Uninitialised>>& pool() {
    thread_local std::vector<std::vector<char, Uninitialised>> kept;
    return kept;
  }
  std::vector<char, Uninitialised> memory_;
};

// [C][1][K][K] -> [K * K][Cp]
template <class T>
at::Tensor pack_depthwise(const at::Tensor& weight, const Shape<T>& s) {
  const at::Tensor dense = weight.contiguous();
  const int64_t taps = s.K * s.K;
  at::Tensor packed = at::zeros({taps, s.Cp}, dense.options());
  const T* in = dense.const_data_ptr<T>();
  T* out = packed.mutable_data_ptr<T>();
  for (int64_t c = 0; c < s.C; ++c) {
    for (int64_t k = 0; k < taps; ++k) out[k * s.Cp + c] = in[c * taps + k];
  }
  return packed;
}

// Sum of [N][K * K][Cp] over N -> [C][1][K][K]
template <class T>
at::Tensor unpack_depthwise(const at::Tensor& partial, const Shape<T>& s) {
  const int64_t taps = s.K * s.K;
  at::Tensor grad = at::zeros({s.C, 1, s.K, s.K}, partial.options());
  T* out = grad.mutable_data_ptr<T>();
  for (int64_t n = 0; n < partial.size(0); ++n) {
    const T* in = partial.const_data_ptr<T>() + n * taps * s.Cp;
    for (int64_t c = 0; c < s.C; ++c) {
      for (int64_t k = 0; k < taps; ++k) out[c * taps + k] += in[k * s.Cp + c];
    }
  }
  return grad;
}

// [O][C][1][1] -> [Op][Cp], or its transpose [Cp][Op]
template <class T>
at::Tensor pack_pointwise(const at::Tensor& weight, const Shape<T>& s, bool transpose) {
  const at::Tensor dense = weight.contiguous();
  at::Tensor packed = at::zeros({transpose ? s.Cp : s.Op, transpose ? s.Op : s.Cp}, dense.options());
  const T* in = dense.const_data_ptr<T>();
  T* out = packed.mutable_data_ptr<T>();
  for (int64_t o = 0; o < s.O; ++o) {
    for (int64_t c = 0; c < s.C; ++c) out[transpose ? c * s.Op + o : o * s.Cp + c] = in[o * s.C + c];
  }
  return packed;
}

// Sum of [N][Op][Cp] over N -> [O][C][1][1]
template <class T>
at::Tensor unpack_pointwise(const at::Tensor& partial, const Shape<T>& s) {
  at::Tensor grad = at::zeros({s.O, s.C, 1, 1}, partial.options());
  T* out = grad.mutable_data_ptr<T>();
  for (int64_t n = 0; n < partial.size(0); ++n) {
    const T* in = partial.const_data_ptr<T>() + n * s.Op * s.Cp;
    for (int64_t o = 0; o < s.O; ++o) {
      for (int64_t c = 0; c < s.C; ++c) out[o * s.C + c] += in[o * s.Cp + c];
    }
  }
  return grad;
}

}  // namespace naslib
