// A node of a cell: the weighted sum of chains (ReLU, depthwise, 1x1, BN without weight and bias)+ and of tensors.
//
// Between its convolution and its use a BN is two numbers per channel, so no normalised tensor is ever written: the next
// stage applies them as it reads, the last one folds the weight of the sum into them. What is kept for the backward
// pass is the output `u` of each 1x1 convolution and the statistics; masks and depthwise outputs are recomputed.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include <cmath>
#include <tuple>
#include <vector>

#include "layout.h"

namespace naslib {
namespace {

template <class T>
struct Stage {
  Shape<T> s;
  int64_t source;  // index of the source, or -1: the stage before
  bool last;       // of its chain
  at::Tensor depthwise, pointwise;
  const T* x = nullptr;  // the source, or `u` of the stage before
  T* u = nullptr;
  std::vector<T> mean, invstd;           // padded to Op
  std::vector<T> in_scale, in_shift;     // BN of the stage before, padded to Cp
};

template <class T>
struct Node {
  std::vector<Stage<T>> stages;
  std::vector<std::vector<int64_t>> chains;
  int64_t N, R, O;  // images, positions and channels of the output
  std::vector<const T*> extras;
  at::Tensor weights;
  const T* w;

  int64_t depth() const {
    size_t most = 0;
    for (const auto& chain : chains) most = std::max(most, chain.size());
    return most;
  }
};

template <class T>
Node<T> make_node(at::TensorList sources, at::TensorList depthwise, at::TensorList pointwise, at::TensorList extras,
                  const at::Tensor& weights, at::IntArrayRef geometry, bool forward) {
  Node<T> node;
  const int64_t count = depthwise.size();
  TORCH_CHECK(count > 0 && static_cast<int64_t>(geometry.size()) == 4 * count &&
                  static_cast<int64_t>(pointwise.size()) == count && geometry[0] >= 0,
              "naslib_native: a mixed node needs at least one stage, and four numbers and two kernels for each");
  node.N = sources[0].size(0);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t source = geometry[4 * i];
    TORCH_CHECK(source < static_cast<int64_t>(sources.size()), "naslib_native: no source ", source);
    std::vector<int64_t> sizes;
    if (source >= 0) {
      check_layout(sources[source]);
      sizes = sources[source].sizes().vec();
    } else {
      const Shape<T>& before = node.stages.back().s;
      sizes = {node.N, before.O, before.OH, before.OW};
      node.stages.back().last = false;
    }
    const auto dtype = sources[0].scalar_type();
    TORCH_CHECK(sizes[0] == node.N && pointwise[i].sizes() == at::IntArrayRef({pointwise[i].size(0), sizes[1], 1, 1}) &&
                    pointwise[i].scalar_type() == dtype && depthwise[i].scalar_type() == dtype &&
                    (source < 0 || sources[source].scalar_type() == dtype),
                "naslib_native: stage ", i, " does not fit its input");
    const Shape<T> s = make_shape<T>(sizes, depthwise[i], geometry[4 * i + 1], geometry[4 * i + 2], geometry[4 * i + 3],
                               pointwise[i].size(0));
    Stage<T> stage{s, source, true, pack_depthwise<T>(depthwise[i], s), pack_pointwise<T>(pointwise[i], s, forward)};
    if (source >= 0) {
      stage.x = sources[source].const_data_ptr<T>();
      node.chains.emplace_back();
    }
    node.chains.back().push_back(i);
    node.stages.push_back(std::move(stage));
  }
  const Shape<T>& out = node.stages.back().s;
  node.R = out.rows();
  node.O = out.O;
  for (const Stage<T>& stage : node.stages) {
    TORCH_CHECK(!stage.last || (stage.s.OH == out.OH && stage.s.OW == out.OW && stage.s.O == out.O),
                "naslib_native: the chains of a mixed node end in different shapes");
  }
  for (const at::Tensor& extra : extras) {
    check_layout(extra);
    TORCH_CHECK(extra.scalar_type() == sources[0].scalar_type() &&
                    extra.sizes() == at::IntArrayRef({node.N, out.O, out.OH, out.OW}),
                "naslib_native: a tensor of a mixed node has another shape than the chains");
    node.extras.push_back(extra.const_data_ptr<T>());
  }
  TORCH_CHECK(weights.dim() == 1 && weights.size(0) == static_cast<int64_t>(node.chains.size() + extras.size()) &&
                  weights.scalar_type() == sources[0].scalar_type(),
              "naslib_native: expected one weight per chain and tensor");
  node.weights = weights.contiguous();
  node.w = node.weights.template const_data_ptr<T>();
  return node;
}

// Tell the stage after `i`, if any, what BN makes of its input: u * scale + shift.
template <class T>
void link(Node<T>& node, int64_t i) {
  Stage<T>& stage = node.stages[i];
  if (stage.last) return;
  Stage<T>& next = node.stages[i + 1];
  next.x = stage.u;
  next.in_scale = stage.invstd;
  next.in_shift.resize(stage.invstd.size());
  for (size_t c = 0; c < stage.invstd.size(); ++c) next.in_shift[c] = -stage.mean[c] * stage.invstd[c];
}

template <class T>
void fill_planes(const Stage<T>& stage, int64_t n, T* planes) {
  const bool first = stage.source >= 0;
  relu_planes<T>(stage.x + n * stage.s.H * stage.s.W * stage.s.C, first ? nullptr : stage.in_scale.data(),
                 first ? nullptr : stage.in_shift.data(), stage.s, planes);
}

// u = 1x1(depthwise(relu(input))) of one image; part = its mean and sum of squared deviations per channel.
template <class T>
void stage_forward(const Stage<T>& stage, int64_t n, T* part) {
  const Shape<T>& s = stage.s;
  Scratch<T> planes(s.planes_size()), z(s.tile_size(s.Cp));
  fill_planes(stage, n, planes.get());
  depthwise_forward<T>(planes.get(), stage.depthwise.template const_data_ptr<T>(), s, z.get(), s.Cp, s.Cp);
  T* u = stage.u + n * s.rows() * s.O;
  rows_times_matrix<T>(z.get(), stage.pointwise.template const_data_ptr<T>(), s.rows(), s.Cp, s.Op, u, s.O);
  if (part == nullptr) return;
  T *mean = part, *squares = part + s.Op;
  sum_rows<T>(s.rows(), s.O, mean, [&](int64_t r, int64_t c, int64_t lanes) { return load(u + r * s.O + c, lanes); });
  for (int64_t c = 0; c < s.Op; ++c) mean[c] /= s.rows();
  sum_rows<T>(s.rows(), s.O, squares, [&](int64_t r, int64_t c, int64_t lanes) {
    const Vec<T> d = load(u + r * s.O + c, lanes) - load(mean + c);
    return d * d;
  });
}

// Merge the images' statistics (parallel algorithm for the variance), in double precision and in order.
template <class T>
void merge_statistics(Stage<T>& stage, const T* part, int64_t N, double momentum, double eps, T* running_mean,
                      T* running_var) {
  const Shape<T>& s = stage.s;
  const double R = s.rows(), M = R * N;
  for (int64_t c = 0; c < s.O; ++c) {
    double mean = 0, squares = 0;
    for (int64_t n = 0; n < N; ++n) {
      const double delta = part[2 * n * s.Op + c] - mean;
      mean += delta / (n + 1);
      squares += part[(2 * n + 1) * s.Op + c] + delta * delta * R * n / (n + 1);
    }
    stage.mean[c] = mean;
    stage.invstd[c] = 1 / std::sqrt(squares / M + eps);
    if (running_mean == nullptr) continue;
    running_mean[c] += momentum * (mean - running_mean[c]);
    running_var[c] += momentum * (squares / (M - 1) - running_var[c]);
  }
}

template <class T>
void combine(const Node<T>& node, T* y) {
  const int64_t Op = round_up<T>(node.O), J = node.chains.size(), E = node.extras.size();
  std::vector<T> scale(J * Op, 0), bias(Op, 0);
  std::vector<const T*> u(J);
  for (int64_t j = 0; j < J; ++j) {
    const Stage<T>& stage = node.stages[node.chains[j].back()];
    u[j] = stage.u;
    for (int64_t c = 0; c < node.O; ++c) {
      scale[j * Op + c] = node.w[j] * stage.invstd[c];
      bias[c] -= scale[j * Op + c] * stage.mean[c];
    }
  }
  at::parallel_for(0, node.N * node.R, 64, [&](int64_t begin, int64_t end) {
    for (int64_t c = 0; c < node.O; c += kLanes<T>) {
      const int64_t lanes = std::min(kLanes<T>, node.O - c);
      for (int64_t r = begin; r < end; ++r) {
        const int64_t at = r * node.O + c;
        Vec<T> acc = load(bias.data() + c);
        for (int64_t j = 0; j < J; ++j) acc += load(scale.data() + j * Op + c) * load(u[j] + at, lanes);
        for (int64_t e = 0; e < E; ++e) acc += node.w[J + e] * load(node.extras[e] + at, lanes);
        store(y + at, acc, lanes);
      }
    }
  });
}

std::tuple<at::Tensor, std::vector<at::Tensor>, std::vector<at::Tensor>> mixed_node(
    at::TensorList sources, at::TensorList depthwise, at::TensorList pointwise, at::TensorList extras,
    const at::Tensor& weights, at::IntArrayRef geometry, at::ArrayRef<double> norm, at::TensorList running_mean,
    at::TensorList running_var, bool training) {
  const int64_t count = depthwise.size();
  TORCH_CHECK(!sources.empty() && static_cast<int64_t>(norm.size()) == 2 * count &&
                  static_cast<int64_t>(running_mean.size()) == count &&
                  static_cast<int64_t>(running_var.size()) == count,
              "naslib_native: a stage lacks its normalization");
  const auto options = sources[0].options();
  at::Tensor y;
  std::vector<at::Tensor> outputs, statistics;
  AT_DISPATCH_FLOATING_TYPES(sources[0].scalar_type(), "mixed_node", [&] {
    using T = scalar_t;
    Node<T> node = make_node<T>(sources, depthwise, pointwise, extras, weights, geometry, true);
    for (Stage<T>& stage : node.stages) {
      const Shape<T>& s = stage.s;
      outputs.push_back(at::empty({node.N, s.O, s.OH, s.OW}, options, at::MemoryFormat::ChannelsLast));
      stage.u = outputs.back().template mutable_data_ptr<T>();
      stage.mean.assign(s.Op, 0);
      stage.invstd.assign(s.Op, 0);
    }
    for (int64_t depth = 0; depth < node.depth(); ++depth) {
      std::vector<int64_t> level;
      std::vector<at::Tensor> parts;
      for (const auto& chain : node.chains) {
        if (depth >= static_cast<int64_t>(chain.size())) continue;
        level.push_back(chain[depth]);
        parts.push_back(at::empty({training ? node.N : 0, 2, node.stages[chain[depth]].s.Op}, options));
      }
      std::vector<T*> pointers;
      for (at::Tensor& part : parts) pointers.push_back(part.template mutable_data_ptr<T>());
      at::parallel_for(0, level.size() * node.N, 1, [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
          const Stage<T>& stage = node.stages[level[task / node.N]];
          const int64_t n = task % node.N;
          stage_forward<T>(stage, n, training ? pointers[task / node.N] + 2 * n * stage.s.Op : nullptr);
        }
      });
      for (size_t k = 0; k < level.size(); ++k) {
        const int64_t i = level[k];
        Stage<T>& stage = node.stages[i];
        const bool tracked = running_mean[i].numel() > 0;
        TORCH_CHECK((training && !tracked) || (running_mean[i].numel() == stage.s.O && running_mean[i].is_contiguous() &&
                                               running_var[i].numel() == stage.s.O && running_var[i].is_contiguous() &&
                                               running_mean[i].scalar_type() == sources[0].scalar_type() &&
                                               running_var[i].scalar_type() == sources[0].scalar_type()),
                    "naslib_native: running statistics of another size, layout or dtype");
        T* rm = tracked ? running_mean[i].template mutable_data_ptr<T>() : nullptr;
        T* rv = tracked ? running_var[i].template mutable_data_ptr<T>() : nullptr;
        if (training) {
          merge_statistics<T>(stage, pointers[k], node.N, norm[2 * i], norm[2 * i + 1], rm, rv);
        } else {
          for (int64_t c = 0; c < stage.s.O; ++c) {
            stage.mean[c] = rm[c];
            stage.invstd[c] = 1 / std::sqrt(static_cast<double>(rv[c]) + norm[2 * i + 1]);
          }
        }
        link(node, i);
      }
    }
    const Shape<T>& out = node.stages.back().s;
    y = at::empty({node.N, out.O, out.OH, out.OW}, options, at::MemoryFormat::ChannelsLast);
    combine<T>(node, y.mutable_data_ptr<T>());
    for (const Stage<T>& stage : node.stages) {
      statistics.push_back(at::empty({2, stage.s.O}, options));
      T* p = statistics.back().template mutable_data_ptr<T>();
      std::copy_n(stage.mean.begin(), stage.s.O, p);
      std::copy_n(stage.invstd.begin(), stage.s.O, p + stage.s.O);
    }
  });
  return {y, outputs, statistics};
}

// Gradient of one BN: gu = scale * g + slope * (u - mean) + offset, per channel, padded to Op.
template <class T>
struct NormGradient {
  std::vector<T> scale, slope, offset;

  // sum_g and sum_gd are the sums over all positions of g and of g * (u - mean).
  NormGradient(const Stage<T>& stage, double weight, const std::vector<double>& sum_g,
               const std::vector<double>& sum_gd, double M, bool training)
      : scale(stage.s.Op, 0), slope(stage.s.Op, 0), offset(stage.s.Op, 0) {
    for (int64_t c = 0; c < stage.s.O; ++c) {
      const double invstd = stage.invstd[c], a = weight * invstd;
      scale[c] = a;
      if (!training) continue;
      slope[c] = -a * invstd * invstd * sum_gd[c] / M;
      offset[c] = -a * sum_g[c] / M;
    }
  }
};

template <class T>
std::vector<double> sum_images(const T* part, int64_t N, int64_t step, int64_t size) {
  std::vector<double> sum(size, 0);
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t c = 0; c < size; ++c) sum[c] += part[n * step + c];
  }
  return sum;
}

template <class T>
void sums_of_gradient(const T* g, const T* u, const T* mean, int64_t rows, int64_t O, T* sum_g, T* sum_gd) {
  if (sum_g != nullptr) {
    sum_rows<T>(rows, O, sum_g, [&](int64_t r, int64_t c, int64_t lanes) { return load(g + r * O + c, lanes); });
  }
  sum_rows<T>(rows, O, sum_gd, [&](int64_t r, int64_t c, int64_t lanes) {
    return load(g + r * O + c, lanes) * (load(u + r * O + c, lanes) - load(mean + c));
  });
}

// Where the gradients of one stage go; null where none is wanted.
template <class T>
struct StageGradient {
  T *part_depthwise = nullptr, *part_pointwise = nullptr;  // per image
  T* source = nullptr;                                     // added to
  T* before = nullptr;                                     // gradient of the BN output of the stage before
};

template <class T>
void stage_backward(const Stage<T>& stage, const NormGradient<T>& norm, const T* g, int64_t n,
                    const StageGradient<T>& to) {
  const Shape<T>& s = stage.s;
  const int64_t R = s.rows();
  Scratch<T> planes(s.planes_size()), gu(s.tile_size(s.Op)), gz(s.tile_size(s.Cp));
  fill_planes(stage, n, planes.get());
  for (int64_t c = 0; c < s.Op; c += kLanes<T>) {
    const int64_t lanes = std::min(kLanes<T>, s.O - c);
    const Vec<T> scale = load(norm.scale.data() + c), slope = load(norm.slope.data() + c);
    const Vec<T> offset = load(norm.offset.data() + c), mean = load(stage.mean.data() + c);
    for (int64_t r = 0; r < R; ++r) {
      const int64_t at = (n * R + r) * s.O + c;
      store(gu.get() + r * s.Op + c, scale * load(g + at, lanes) + slope * (load(stage.u + at, lanes) - mean) + offset);
    }
  }
  rows_times_matrix<T>(gu.get(), stage.pointwise.template const_data_ptr<T>(), R, s.Op, s.Cp, gz.get(), s.Cp);
  const T* weight = stage.depthwise.template const_data_ptr<T>();
  if (to.part_depthwise != nullptr) {
    Scratch<T> z(s.tile_size(s.Cp));
    depthwise_forward<T>(planes.get(), weight, s, z.get(), s.Cp, s.Cp);
    transposed_product<T>(gu.get(), z.get(), R, s.Op, s.Cp, to.part_pointwise + n * s.Op * s.Cp);
    depthwise_grad_weight<T>(planes.get(), gz.get(), s.Cp, s, to.part_depthwise + n * s.K * s.K * s.Cp);
  }
  if (to.source == nullptr && to.before == nullptr) return;
  Scratch<T> plane_g(s.gradient_plane_size());
  const int64_t image = n * s.H * s.W * s.C;
  if (to.before != nullptr) {
    T* out = to.before + image;
    depthwise_grad_input<T>(planes.get(), gz.get(), s.Cp, weight, s, plane_g.get(), [&](int64_t c, int64_t r, Vec<T> v) {
      store(out + r * s.C + c, v, std::min(kLanes<T>, s.C - c));
    });
  } else {
    T* out = to.source + image;
    depthwise_grad_input<T>(planes.get(), gz.get(), s.Cp, weight, s, plane_g.get(), [&](int64_t c, int64_t r, Vec<T> v) {
      const int64_t lanes = std::min(kLanes<T>, s.C - c);
      store(out + r * s.C + c, v + load(out + r * s.C + c, lanes), lanes);
    });
  }
}

// Gradients of the weights and the tensors, and the sums that the last BN of each chain needs.
template <class T>
void output_sums(const Node<T>& node, const T* g, T* sum_g, T* sum_gd, T* dots, const std::vector<T*>& gextras) {
  const int64_t Op = round_up<T>(node.O), J = node.chains.size(), E = node.extras.size(), size = node.R * node.O;
  at::parallel_for(0, node.N, 1, [&](int64_t begin, int64_t end) {
    std::vector<T> dot(Op);
    for (int64_t n = begin; n < end; ++n) {
      const T* gn = g + n * size;
      for (int64_t j = 0; j < J; ++j) {
        const Stage<T>& stage = node.stages[node.chains[j].back()];
        sums_of_gradient<T>(gn, stage.u + n * size, stage.mean.data(), node.R, node.O,
                            j == 0 ? sum_g + n * Op : nullptr, sum_gd + (n * J + j) * Op);
      }
      for (int64_t e = 0; e < E; ++e) {
        const T* x = node.extras[e] + n * size;
        sum_rows<T>(node.R, node.O, dot.data(), [&](int64_t r, int64_t c, int64_t lanes) {
          return load(gn + r * node.O + c, lanes) * load(x + r * node.O + c, lanes);
        });
        double sum = 0;
        for (int64_t c = 0; c < node.O; ++c) sum += dot[c];
        dots[n * E + e] = sum;
        if (gextras[e] == nullptr) continue;
        for (int64_t i = 0; i < size; i += kLanes<T>) {
          const int64_t lanes = std::min(kLanes<T>, size - i);
          store(gextras[e] + n * size + i, node.w[J + e] * load(gn + i, lanes), lanes);
        }
      }
    }
  });
}

std::tuple<std::vector<at::Tensor>, std::vector<at::Tensor>, std::vector<at::Tensor>, std::vector<at::Tensor>,
           at::Tensor>
mixed_node_backward(const at::Tensor& g, at::TensorList sources, at::TensorList depthwise, at::TensorList pointwise,
                    at::TensorList extras, const at::Tensor& weights, at::IntArrayRef geometry, at::TensorList outputs,
                    at::TensorList statistics, bool training, c10::List<bool> need_sources, bool need_parameters,
                    c10::List<bool> need_extras, bool need_weights) {
  check_layout(g);
  const auto options = g.options();
  const int64_t count = depthwise.size();
  std::vector<at::Tensor> gsources(sources.size()), gdepthwise(count), gpointwise(count), gextras(extras.size());
  at::Tensor gweights;
  AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "mixed_node_backward", [&] {
    using T = scalar_t;
    Node<T> node = make_node<T>(sources, depthwise, pointwise, extras, weights, geometry, false);
    const int64_t N = node.N, O = node.O, Op = round_up<T>(O), J = node.chains.size(), E = node.extras.size();
    for (int64_t i = 0; i < count; ++i) {
      Stage<T>& stage = node.stages[i];
      stage.u = const_cast<T*>(outputs[i].template const_data_ptr<T>());
      stage.mean.assign(stage.s.Op, 0);
      stage.invstd.assign(stage.s.Op, 0);
      const T* p = statistics[i].template const_data_ptr<T>();
      std::copy_n(p, stage.s.O, stage.mean.begin());
      std::copy_n(p + stage.s.O, stage.s.O, stage.invstd.begin());
    }
    for (int64_t i = 0; i < count; ++i) link(node, i);
    std::vector<T*> to_source(sources.size(), nullptr), to_extra(E, nullptr);
    for (size_t i = 0; i < sources.size(); ++i) {
      if (!need_sources.get(i)) continue;
      gsources[i] = at::zeros_like(sources[i], at::MemoryFormat::ChannelsLast);
      to_source[i] = gsources[i].template mutable_data_ptr<T>();
    }
    for (int64_t e = 0; e < E; ++e) {
      if (!need_extras.get(e)) continue;
      gextras[e] = at::empty_like(extras[e], at::MemoryFormat::ChannelsLast);
      to_extra[e] = gextras[e].template mutable_data_ptr<T>();
    }
    const T* grad = g.const_data_ptr<T>();
    at::Tensor sum_g = at::empty({N, Op}, options), sum_gd = at::empty({N, J, Op}, options);
    at::Tensor dots = at::empty({N, E}, options);
    output_sums<T>(node, grad, sum_g.mutable_data_ptr<T>(), sum_gd.mutable_data_ptr<T>(), dots.mutable_data_ptr<T>(),
                   to_extra);
    // Per chain: the gradient of the BN output of the stage at hand, and the BN's gradient.
    std::vector<const T*> incoming(J, grad);
    std::vector<at::Tensor> keep(J);
    std::vector<NormGradient<T>> norms;
    const std::vector<double> total_g = sum_images<T>(sum_g.const_data_ptr<T>(), N, Op, O);
    if (need_weights) gweights = at::zeros({J + E}, weights.options());
    for (int64_t j = 0; j < J; ++j) {
      const Stage<T>& stage = node.stages[node.chains[j].back()];
      const std::vector<double> total_gd = sum_images<T>(sum_gd.const_data_ptr<T>() + j * Op, N, J * Op, O);
      norms.emplace_back(stage, node.w[j], total_g, total_gd, static_cast<double>(N * node.R), training);
      if (!need_weights) continue;
      double dot = 0;
      for (int64_t c = 0; c < O; ++c) dot += total_gd[c] * stage.invstd[c];
      gweights.mutable_data_ptr<T>()[j] = dot;
    }
    if (need_weights && E > 0) {
      const std::vector<double> total = sum_images<T>(dots.const_data_ptr<T>(), N, E, E);
      std::copy_n(total.begin(), E, gweights.mutable_data_ptr<T>() + J);
    }
    for (int64_t round = 0; round < node.depth(); ++round) {
      std::vector<int64_t> chains;
      std::vector<StageGradient<T>> to(J);
      std::vector<at::Tensor> partial_depthwise(J), partial_pointwise(J), next(J), next_sums(J);
      for (int64_t j = 0; j < J; ++j) {
        const auto& chain = node.chains[j];
        T* source = to_source[node.stages[chain[0]].source];
        if (round >= static_cast<int64_t>(chain.size()) || (source == nullptr && !need_parameters)) continue;
        chains.push_back(j);
        const Stage<T>& stage = node.stages[chain[chain.size() - 1 - round]];
        const Shape<T>& s = stage.s;
        if (need_parameters) {
          partial_depthwise[j] = at::empty({N, s.K * s.K * s.Cp}, options);
          partial_pointwise[j] = at::empty({N, s.Op * s.Cp}, options);
          to[j].part_depthwise = partial_depthwise[j].template mutable_data_ptr<T>();
          to[j].part_pointwise = partial_pointwise[j].template mutable_data_ptr<T>();
        }
        if (stage.source >= 0) {
          to[j].source = source;
        } else {
          next[j] = at::empty({N, s.H, s.W, s.C}, options);
          next_sums[j] = at::empty({N, 2, s.Cp}, options);
          to[j].before = next[j].template mutable_data_ptr<T>();
        }
      }
      at::parallel_for(0, N, 1, [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n) {
          for (const int64_t j : chains) {
            const int64_t i = node.chains[j][node.chains[j].size() - 1 - round];
            const Stage<T>& stage = node.stages[i];
            stage_backward<T>(stage, norms[j], incoming[j], n, to[j]);
            if (to[j].before == nullptr) continue;
            const Stage<T>& before = node.stages[i - 1];
            const int64_t at = n * before.s.rows() * before.s.O;
            T* sums = next_sums[j].template mutable_data_ptr<T>() + 2 * n * before.s.Op;
            sums_of_gradient<T>(to[j].before + at, before.u + at, before.mean.data(), before.s.rows(), before.s.O, sums,
                                sums + before.s.Op);
          }
        }
      });
      for (const int64_t j : chains) {
        const int64_t i = node.chains[j][node.chains[j].size() - 1 - round];
        const Stage<T>& stage = node.stages[i];
        if (need_parameters) {
          gdepthwise[i] = unpack_depthwise<T>(partial_depthwise[j], stage.s);
          gpointwise[i] = unpack_pointwise<T>(partial_pointwise[j], stage.s);
        }
        if (to[j].before == nullptr) continue;
        const Stage<T>& before = node.stages[i - 1];
        const T* sums = next_sums[j].template const_data_ptr<T>();
        const int64_t step = 2 * before.s.Op, M = N * before.s.rows();
        norms[j] = NormGradient<T>(before, 1.0, sum_images<T>(sums, N, step, before.s.O),
                                   sum_images<T>(sums + before.s.Op, N, step, before.s.O), static_cast<double>(M),
                                   training);
        keep[j] = next[j];
        incoming[j] = to[j].before;
      }
    }
  });
  return {gsources, gdepthwise, gpointwise, gextras, gweights};
}

}  // namespace

TORCH_LIBRARY_IMPL(naslib_native, CPU, m) {
  m.impl("mixed_node", mixed_node);
  m.impl("mixed_node_backward", mixed_node_backward);
}

}  // namespace naslib
