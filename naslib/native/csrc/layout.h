// Checks, scratch memory, and the packing of weights and of partial sums.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <memory>

#include "tile.h"

namespace naslib {

inline void check_layout(const at::Tensor& x) {
  TORCH_CHECK(x.device().is_cpu() && x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast),
              "naslib_native: expected a dense channels_last tensor on the CPU");
}

inline Shape make_shape(const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding,
                        int64_t dilation, int64_t out_channels) {
  check_layout(x);
  const int64_t K = weight.size(-1);
  TORCH_CHECK(weight.dim() == 4 && weight.size(0) == x.size(1) && weight.size(1) == 1 && weight.size(2) == K,
              "naslib_native: expected a square depthwise kernel for ", x.size(1), " channels");
  TORCH_CHECK(weight.scalar_type() == x.scalar_type(), "naslib_native: input and weight differ in dtype");
  TORCH_CHECK((K == 3 || K == 5 || K == 7) && (stride == 1 || stride == 2) && (dilation == 1 || dilation == 2) &&
                  padding >= 0 && padding <= (K - 1) * dilation,
              "naslib_native: kernel ", K, ", stride ", stride, ", padding ", padding, ", dilation ", dilation,
              " is not supported");
  const Shape s(x.size(1), x.size(2), x.size(3), K, stride, padding, dilation, out_channels);
  TORCH_CHECK(x.size(0) > 0 && s.C > 0 && s.H + 2 * padding > (K - 1) * dilation &&
                  s.W + 2 * padding > (K - 1) * dilation,
              "naslib_native: the output would be empty");
  return s;
}

// Uninitialised memory, aligned to a cache line.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t size) : memory_(new T[size + 64 / sizeof(T)]) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
    aligned_ = reinterpret_cast<T*>((address + 63) / 64 * 64);
  }
  T* get() { return aligned_; }

 private:
  std::unique_ptr<T[]> memory_;
  T* aligned_;
};

// [C][1][K][K] -> [K * K][Cp]
template <class T>
at::Tensor pack_depthwise(const at::Tensor& weight, const Shape& s) {
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
at::Tensor unpack_depthwise(const at::Tensor& partial, const Shape& s) {
  const int64_t taps = s.K * s.K;
  const at::Tensor sum = partial.sum(0);
  at::Tensor grad = at::empty({s.C, 1, s.K, s.K}, partial.options());
  const T* in = sum.const_data_ptr<T>();
  T* out = grad.mutable_data_ptr<T>();
  for (int64_t c = 0; c < s.C; ++c) {
    for (int64_t k = 0; k < taps; ++k) out[c * taps + k] = in[k * s.Cp + c];
  }
  return grad;
}

}  // namespace naslib
