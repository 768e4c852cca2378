// The weighted sum of tensors of one layout, read once, and its gradients, in one pass over the output's gradient.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <tuple>
#include <vector>

#include "vec.h"

namespace naslib {
namespace {

// Numbers per chunk: chunks, not threads, own the partial sums, so results do not depend on the number of threads.
constexpr int64_t kChunk = 8192;

int64_t chunks(int64_t size) { return (size + kChunk - 1) / kChunk; }

void check(const at::TensorList& tensors, const at::Tensor& weights) {
  TORCH_CHECK(!tensors.empty() && weights.dim() == 1 && weights.size(0) == static_cast<int64_t>(tensors.size()),
              "naslib_native: expected one weight per tensor");
  for (const at::Tensor& x : tensors) {
    TORCH_CHECK(x.device().is_cpu() && x.is_non_overlapping_and_dense() && x.sizes() == tensors[0].sizes() &&
                    x.strides() == tensors[0].strides() && x.scalar_type() == tensors[0].scalar_type() &&
                    x.scalar_type() == weights.scalar_type(),
                "naslib_native: expected dense tensors of one shape, layout and dtype on the CPU");
  }
}

at::Tensor weighted_sum(at::TensorList tensors, const at::Tensor& weights) {
  check(tensors, weights);
  at::Tensor y = at::empty_like(tensors[0]);
  AT_DISPATCH_FLOATING_TYPES(y.scalar_type(), "weighted_sum", [&] {
    const at::Tensor dense = weights.contiguous();
    const scalar_t* w = dense.const_data_ptr<scalar_t>();
    std::vector<const scalar_t*> in;
    for (const at::Tensor& x : tensors) in.push_back(x.const_data_ptr<scalar_t>());
    scalar_t* out = y.mutable_data_ptr<scalar_t>();
    const int64_t size = y.numel();
    at::parallel_for(0, chunks(size), 1, [&](int64_t begin, int64_t end) {
      const int64_t last = std::min(size, end * kChunk);
      for (int64_t i = begin * kChunk; i < last; i += kLanes<scalar_t>) {
        const int64_t lanes = std::min(kLanes<scalar_t>, last - i);
        Vec<scalar_t> acc = {};
        for (size_t k = 0; k < in.size(); ++k) acc += w[k] * load(in[k] + i, lanes);
        store(out + i, acc, lanes);
      }
    });
  });
  return y;
}

template <class T>
T sum_lanes(Vec<T> v) {
  T sum = 0;
  for (int64_t t = 0; t < kLanes<T>; ++t) sum += v[t];
  return sum;
}

std::tuple<std::vector<at::Tensor>, at::Tensor> weighted_sum_backward(const at::Tensor& g, at::TensorList tensors,
                                                                      const at::Tensor& weights,
                                                                      c10::List<bool> need_tensors, bool need_weights) {
  check(tensors, weights);
  const int64_t count = tensors.size(), size = g.numel();
  TORCH_CHECK(g.strides() == tensors[0].strides() && g.sizes() == tensors[0].sizes() &&
                  g.scalar_type() == tensors[0].scalar_type(),
              "naslib_native: the gradient has another layout than the tensors");
  std::vector<at::Tensor> gx(count);
  at::Tensor partial = at::zeros({chunks(size), count}, weights.options());
  AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "weighted_sum_backward", [&] {
    const at::Tensor dense = weights.contiguous();
    const scalar_t *w = dense.const_data_ptr<scalar_t>(), *grad = g.const_data_ptr<scalar_t>();
    std::vector<const scalar_t*> in;
    std::vector<scalar_t*> out(count, nullptr);
    for (int64_t k = 0; k < count; ++k) {
      in.push_back(tensors[k].const_data_ptr<scalar_t>());
      if (!need_tensors.get(k)) continue;
      gx[k] = at::empty_like(tensors[k]);
      out[k] = gx[k].mutable_data_ptr<scalar_t>();
    }
    scalar_t* part = partial.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, chunks(size), 1, [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        const int64_t first = chunk * kChunk, last = std::min(size, first + kChunk);
        for (int64_t k = 0; k < count; ++k) {
          Vec<scalar_t> acc = {};
          for (int64_t i = first; i < last; i += kLanes<scalar_t>) {
            const int64_t lanes = std::min(kLanes<scalar_t>, last - i);
            const Vec<scalar_t> v = load(grad + i, lanes);
            if (need_weights) acc += v * load(in[k] + i, lanes);
            if (out[k] != nullptr) store(out[k] + i, w[k] * v, lanes);
          }
          part[chunk * count + k] = sum_lanes<scalar_t>(acc);
        }
      }
    });
  });
  at::Tensor gw;
  if (need_weights) gw = partial.sum(0, false, at::kDouble).to(weights.scalar_type());
  return {gx, gw};
}

}  // namespace

TORCH_LIBRARY_IMPL(naslib_native, CPU, m) {
  m.impl("weighted_sum", weighted_sum);
  m.impl("weighted_sum_backward", weighted_sum_backward);
}

}  // namespace naslib
