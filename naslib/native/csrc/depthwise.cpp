// ReLU and depthwise convolution as one operation, and its two gradients.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <tuple>

#include "layout.h"

namespace naslib {
namespace {

void check_input(const at::Tensor& x, const at::Tensor& weight) {
  check_layout(x);
  TORCH_CHECK(weight.scalar_type() == x.scalar_type(), "naslib_native: input and weight differ in dtype");
}

at::Tensor relu_depthwise(const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding,
                          int64_t dilation) {
  check_input(x, weight);
  const int64_t N = x.size(0);
  at::Tensor y;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "relu_depthwise", [&] {
    const auto s = make_shape<scalar_t>(x.sizes(), weight, stride, padding, dilation, x.size(1));
    y = at::empty({N, s.C, s.OH, s.OW}, x.options(), at::MemoryFormat::ChannelsLast);
    const at::Tensor packed = pack_depthwise<scalar_t>(weight, s);
    const scalar_t *in = x.const_data_ptr<scalar_t>(), *w = packed.const_data_ptr<scalar_t>();
    scalar_t* out = y.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, N, 1, [&](int64_t begin, int64_t end) {
      Scratch<scalar_t> planes(s.planes_size());
      for (int64_t n = begin; n < end; ++n) {
        relu_planes<scalar_t>(in + n * s.H * s.W * s.C, nullptr, nullptr, s, planes.get());
        depthwise_forward<scalar_t>(planes.get(), w, s, out + n * s.rows() * s.C, s.C, s.C);
      }
    });
  });
  return y;
}

std::tuple<at::Tensor, at::Tensor> relu_depthwise_backward(const at::Tensor& g, const at::Tensor& x,
                                                           const at::Tensor& weight, int64_t stride, int64_t padding,
                                                           int64_t dilation, bool need_x, bool need_weight) {
  check_input(x, weight);
  check_layout(g);
  const int64_t N = x.size(0);
  at::Tensor gx, gw;
  if (need_x) gx = at::empty_like(x, at::MemoryFormat::ChannelsLast);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "relu_depthwise_backward", [&] {
    const auto s = make_shape<scalar_t>(x.sizes(), weight, stride, padding, dilation, x.size(1));
    TORCH_CHECK(g.scalar_type() == x.scalar_type() && g.sizes() == at::IntArrayRef({N, s.C, s.OH, s.OW}),
                "naslib_native: the gradient does not fit the output");
    const at::Tensor packed = pack_depthwise<scalar_t>(weight, s);
    const scalar_t *in = x.const_data_ptr<scalar_t>(), *w = packed.const_data_ptr<scalar_t>();
    const scalar_t* grad = g.const_data_ptr<scalar_t>();
    scalar_t* gxp = need_x ? gx.mutable_data_ptr<scalar_t>() : nullptr;
    // One partial sum per image, added in order: the result does not depend on the number of threads.
    const int64_t taps = s.K * s.K * s.Cp;
    at::Tensor partial = at::empty({N, need_weight ? taps : 0}, x.options());
    scalar_t* part = partial.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, N, 1, [&](int64_t begin, int64_t end) {
      Scratch<scalar_t> planes(s.planes_size()), plane_g(s.gradient_plane_size());
      for (int64_t n = begin; n < end; ++n) {
        const scalar_t* gn = grad + n * s.rows() * s.C;
        relu_planes<scalar_t>(in + n * s.H * s.W * s.C, nullptr, nullptr, s, planes.get());
        if (need_weight) depthwise_grad_weight<scalar_t>(planes.get(), gn, s.C, s, part + n * taps);
        if (!need_x) continue;
        scalar_t* out = gxp + n * s.H * s.W * s.C;
        depthwise_grad_input<scalar_t>(planes.get(), gn, s.C, w, s, plane_g.get(),
                                       [&](int64_t c, int64_t row, Vec<scalar_t> v) {
                                         store(out + row * s.C + c, v, std::min(kLanes<scalar_t>, s.C - c));
                                       });
      }
    });
    if (need_weight) gw = unpack_depthwise<scalar_t>(partial, s);
  });
  return {gx, gw};
}

}  // namespace

TORCH_LIBRARY(naslib_native, m) {
  m.def("relu_depthwise(Tensor x, Tensor weight, int stride, int padding, int dilation) -> Tensor");
  m.def(
      "relu_depthwise_backward(Tensor g, Tensor x, Tensor weight, int stride, int padding, int dilation, "
      "bool need_x, bool need_weight) -> (Tensor, Tensor)");
  m.def("weighted_sum(Tensor[] tensors, Tensor weights) -> Tensor");
  m.def(
      "weighted_sum_backward(Tensor g, Tensor[] tensors, Tensor weights, bool[] need_tensors, bool need_weights) "
      "-> (Tensor[], Tensor)");
  m.def(
      "mixed_node(Tensor[] sources, Tensor[] depthwise, Tensor[] pointwise, Tensor[] extras, Tensor weights, "
      "int[] geometry, float[] norm, Tensor(a!)[] running_mean, Tensor(b!)[] running_var, bool training) "
      "-> (Tensor, Tensor[], Tensor[])");
  m.def(
      "mixed_node_backward(Tensor g, Tensor[] sources, Tensor[] depthwise, Tensor[] pointwise, Tensor[] extras, "
      "Tensor weights, int[] geometry, Tensor[] outputs, Tensor[] statistics, bool training, bool[] need_sources, "
      "bool need_parameters, bool[] need_extras, bool need_weights) "
      "-> (Tensor[], Tensor[], Tensor[], Tensor[], Tensor)");
}

TORCH_LIBRARY_IMPL(naslib_native, CPU, m) {
  m.impl("relu_depthwise", relu_depthwise);
  m.impl("relu_depthwise_backward", relu_depthwise_backward);
}

}  // namespace naslib
