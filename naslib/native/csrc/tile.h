// What is done to one image while it stays in the cache: padding, depthwise and 1x1 convolution, their gradients.
//
// Images are NHWC. Tiles in scratch memory have rows of channels padded to a multiple of kLanes (`Cp`, `Op`); planes are
// [block of kLanes channels][row][column][kLanes] with a border of zeros. Loops compute whole groups of kTile positions and
// store the valid ones, so every plane and tile ends with kSlack vectors that may be read and mean nothing.
#pragma once

#include <algorithm>

#include "vec.h"

namespace naslib {

constexpr int64_t kSlack = 2 * kTile + 2;

// Depthwise convolution (C channels, K x K, stride S, padding P, dilation D) and the 1x1 convolution C -> O after it.
template <class T>
struct Shape {
  int64_t C, H, W, K, S, P, D, O;
  int64_t OH, OW, Cp, Op;
  int64_t PH, PW;        // padded input plane
  int64_t lo, GH, GW;    // padded output-gradient plane and its border above and to the left

  Shape(int64_t C_, int64_t H_, int64_t W_, int64_t K_, int64_t S_, int64_t P_, int64_t D_, int64_t O_)
      : C(C_), H(H_), W(W_), K(K_), S(S_), P(P_), D(D_), O(O_) {
    const int64_t reach = (K - 1) * D;
    OH = (H + 2 * P - reach - 1) / S + 1;
    OW = (W + 2 * P - reach - 1) / S + 1;
    Cp = round_up<T>(C);
    Op = round_up<T>(O);
    PH = H + 2 * P;
    PW = W + 2 * P;
    lo = std::max<int64_t>(0, (reach - P + S - 1) / S);
    GH = lo + std::max(OH, (H - 1 + P) / S + 1);
    GW = lo + std::max(OW, (W - 1 + P) / S + 1);
  }
  int64_t rows() const { return OH * OW; }
  int64_t plane() const { return PH * PW * kLanes<T>; }
  int64_t planes_size() const { return plane() * (Cp / kLanes<T>) + kSlack * kLanes<T>; }
  int64_t tile_size(int64_t channels) const { return (rows() + kSlack) * channels; }
  int64_t gradient_plane_size() const { return GH * GW * kLanes<T> + kSlack * kLanes<T>; }
};

// Copy block `cb` of an image of rows `ld` wide into a plane with zeros around it, through `f`.
template <class T, class F>
inline void fill_plane(const T* image, int64_t ld, int64_t lanes, int64_t H, int64_t W, int64_t top, int64_t left,
                       int64_t PH, int64_t PW, T* plane, F f) {
  const int64_t right = PW - left - W;
  std::memset(plane, 0, (top * PW + left) * kLanes<T> * sizeof(T));
  for (int64_t h = 0; h < H; ++h) {
    T* out = plane + ((top + h) * PW + left) * kLanes<T>;
    const T* in = image + h * W * ld;
    for (int64_t w = 0; w < W; ++w) store(out + w * kLanes<T>, f(load(in + w * ld, lanes)));
    // the right border of this row and the left one of the next
    const int64_t gap = h + 1 < H ? right + left : right + (PH - top - H) * PW;
    std::memset(out + W * kLanes<T>, 0, gap * kLanes<T> * sizeof(T));
  }
}

// planes = padded relu(x * scale + shift); scale null means relu(x). scale and shift are padded to Cp.
template <class T>
void relu_planes(const T* x, const T* scale, const T* shift, const Shape<T>& s, T* planes) {
  for (int64_t c = 0; c < s.Cp; c += kLanes<T>) {
    T* plane = planes + c / kLanes<T> * s.plane();
    const int64_t lanes = std::min(kLanes<T>, s.C - c);
    if (scale == nullptr) {
      fill_plane(x + c, s.C, lanes, s.H, s.W, s.P, s.P, s.PH, s.PW, plane, [](Vec<T> v) { return relu<T>(v); });
    } else {
      const Vec<T> a = load(scale + c), b = load(shift + c);
      fill_plane(x + c, s.C, lanes, s.H, s.W, s.P, s.P, s.PH, s.PW, plane,
                 [a, b](Vec<T> v) { return relu<T>(v * a + b); });
    }
  }
}

// z[row][channel] with rows `ld` wide, of which `channels` are written; weight is [K * K][Cp].
template <class T, int64_t S>
void depthwise_forward(const T* planes, const T* weight, const Shape<T>& s, T* z, int64_t ld, int64_t channels) {
  for (int64_t c = 0; c < s.Cp; c += kLanes<T>) {
    const T* plane = planes + c / kLanes<T> * s.plane();
    const int64_t lanes = std::min(kLanes<T>, channels - c);
    for (int64_t oh = 0; oh < s.OH; ++oh) {
      for (int64_t ow = 0; ow < s.OW; ow += kTile) {
        const T* base = plane + (oh * S * s.PW + ow * S) * kLanes<T>;
        Vec<T> acc[kTile] = {};
        for (int64_t kh = 0; kh < s.K; ++kh) {
          for (int64_t kw = 0; kw < s.K; ++kw) {
            const Vec<T> w = load(weight + (kh * s.K + kw) * s.Cp + c);
            const T* p = base + (kh * s.PW + kw) * s.D * kLanes<T>;
            for (int64_t t = 0; t < kTile; ++t) acc[t] += w * load(p + t * S * kLanes<T>);
          }
        }
        T* out = z + (oh * s.OW + ow) * ld + c;
        const int64_t count = std::min(kTile, s.OW - ow);
        for (int64_t t = 0; t < kTile; ++t) {
          if (t < count) store(out + t * ld, acc[t], lanes);
        }
      }
    }
  }
}

template <class T>
void depthwise_forward(const T* planes, const T* weight, const Shape<T>& s, T* z, int64_t ld, int64_t channels) {
  if (s.S == 1) {
    depthwise_forward<T, 1>(planes, weight, s, z, ld, channels);
  } else {
    depthwise_forward<T, 2>(planes, weight, s, z, ld, channels);
  }
}

// grad[tap][channel] = sum of g * plane; KB rows of taps are held in registers at a time.
template <class T, int64_t K, int64_t KB>
void depthwise_grad_weight(const T* planes, const T* g, int64_t ld, const Shape<T>& s, T* grad) {
  for (int64_t c = 0; c < s.Cp; c += kLanes<T>) {
    const T* plane = planes + c / kLanes<T> * s.plane();
    const int64_t lanes = std::min(kLanes<T>, ld - c);
    for (int64_t k0 = 0; k0 < K; k0 += KB) {
      Vec<T> acc[KB * K] = {};
      for (int64_t oh = 0; oh < s.OH; ++oh) {
        const T* row = plane + (oh * s.S + k0 * s.D) * s.PW * kLanes<T>;
        const T* grow = g + oh * s.OW * ld + c;
        for (int64_t ow = 0; ow < s.OW; ++ow) {
          const Vec<T> v = load(grow + ow * ld, lanes);
          const T* p = row + ow * s.S * kLanes<T>;
          for (int64_t kh = 0; kh < KB; ++kh) {
            for (int64_t kw = 0; kw < K; ++kw) acc[kh * K + kw] += v * load(p + (kh * s.PW + kw) * s.D * kLanes<T>);
          }
        }
      }
      for (int64_t k = 0; k < KB * K; ++k) store(grad + (k0 * K + k) * s.Cp + c, acc[k]);
    }
  }
}

template <class T>
void depthwise_grad_weight(const T* planes, const T* g, int64_t ld, const Shape<T>& s, T* grad) {
  if (s.K == 3) {
    depthwise_grad_weight<T, 3, 3>(planes, g, ld, s, grad);
  } else if (s.K == 5) {
    depthwise_grad_weight<T, 5, 1>(planes, g, ld, s, grad);
  } else {
    depthwise_grad_weight<T, 7, 1>(planes, g, ld, s, grad);
  }
}

// Hand grad-input of the depthwise convolution, masked by the ReLU, to sink(c, row, vector): each once.
// `plane_g` is scratch. An input position is reached by the taps of its phase modulo the stride.
template <class T, int64_t S, class Sink>
void strided_grad_input(const T* planes, const T* g, int64_t ld, const T* weight, const Shape<T>& s, T* plane_g,
                        Sink sink) {
  const Vec<T> zero = {};
  for (int64_t c = 0; c < s.Cp; c += kLanes<T>) {
    const int64_t lanes = std::min(kLanes<T>, ld - c);
    fill_plane(g + c, ld, lanes, s.OH, s.OW, s.lo, s.lo, s.GH, s.GW, plane_g, [](Vec<T> v) { return v; });
    const T* interior = planes + c / kLanes<T> * s.plane() + (s.P * s.PW + s.P) * kLanes<T>;
    for (int64_t ih = 0; ih < s.H; ++ih) {
      for (int64_t phase = 0; phase < S; ++phase) {
        for (int64_t j = 0; phase + S * j < s.W; j += kTile) {
          Vec<T> acc[kTile] = {};
          for (int64_t kh = 0; kh < s.K; ++kh) {
            const uint64_t h = ih + s.P - kh * s.D + s.lo * S;
            if (h % S != 0) continue;
            const T* row = plane_g + (static_cast<int64_t>(h / S) * s.GW + j) * kLanes<T>;
            for (int64_t kw = 0; kw < s.K; ++kw) {
              const uint64_t w = phase + s.P - kw * s.D + s.lo * S;
              if (w % S != 0) continue;
              const Vec<T> v = load(weight + (kh * s.K + kw) * s.Cp + c);
              const T* p = row + static_cast<int64_t>(w / S) * kLanes<T>;
              for (int64_t t = 0; t < kTile; ++t) acc[t] += v * load(p + t * kLanes<T>);
            }
          }
          const int64_t count = std::min(kTile, (s.W - phase + S - 1) / S - j);
          for (int64_t t = 0; t < kTile; ++t) {
            if (t >= count) continue;
            const int64_t iw = phase + S * (j + t);
            const Vec<T> active = load(interior + (ih * s.PW + iw) * kLanes<T>);
            sink(c, ih * s.W + iw, active <= zero ? zero : acc[t]);
          }
        }
      }
    }
  }
}

template <class T, class Sink>
void depthwise_grad_input(const T* planes, const T* g, int64_t ld, const T* weight, const Shape<T>& s, T* plane_g,
                          Sink sink) {
  if (s.S == 1) {
    strided_grad_input<T, 1>(planes, g, ld, weight, s, plane_g, sink);
  } else {
    strided_grad_input<T, 2>(planes, g, ld, weight, s, plane_g, sink);
  }
}

// B blocks of columns from `n` on: out[row][n] = sum_k a[row][k] * b[k][n].
template <class T, int64_t B>
void rows_times_columns(const T* a, const T* b, int64_t n, int64_t rows, int64_t inner, int64_t outer, T* out,
                        int64_t ld) {
  for (int64_t r = 0; r < rows; r += kTile) {
    Vec<T> acc[kTile][B] = {};
    const T* p = a + r * inner;
    for (int64_t k = 0; k < inner; ++k) {
      Vec<T> v[B];
      for (int64_t q = 0; q < B; ++q) v[q] = load(b + k * outer + n + q * kLanes<T>);
      for (int64_t t = 0; t < kTile; ++t) {
        for (int64_t q = 0; q < B; ++q) acc[t][q] += p[t * inner + k] * v[q];
      }
    }
    const int64_t count = std::min(kTile, rows - r);
    for (int64_t t = 0; t < kTile; ++t) {
      for (int64_t q = 0; q < B; ++q) {
        const int64_t c = n + q * kLanes<T>;
        if (t < count) store(out + (r + t) * ld + c, acc[t][q], std::min(kLanes<T>, ld - c));
      }
    }
  }
}

// out[row][n] = sum_k a[row][k] * b[k][n]; `a` is a tile of rows `inner` wide, `b` has rows `outer` wide.
template <class T>
void rows_times_matrix(const T* a, const T* b, int64_t rows, int64_t inner, int64_t outer, T* out, int64_t ld) {
  int64_t n = 0;
  for (; n + kPair * kLanes<T> <= outer; n += kPair * kLanes<T>) {
    rows_times_columns<T, kPair>(a, b, n, rows, inner, outer, out, ld);
  }
  for (; n < outer; n += kLanes<T>) rows_times_columns<T, 1>(a, b, n, rows, inner, outer, out, ld);
}

template <class T, int64_t B>
void transposed_times_columns(const T* a, const T* b, int64_t n, int64_t rows, int64_t m_size, int64_t n_size,
                              T* out) {
  // rows are stored whole: they must not pass the end of the block
  constexpr int64_t rows_at_once = std::min(kTile, kLanes<T>);
  static_assert(kLanes<T> % rows_at_once == 0, "a tile must divide a block of channels");
  for (int64_t m = 0; m < m_size; m += rows_at_once) {
    Vec<T> acc[rows_at_once][B] = {};
    for (int64_t r = 0; r < rows; ++r) {
      Vec<T> v[B];
      for (int64_t q = 0; q < B; ++q) v[q] = load(b + r * n_size + n + q * kLanes<T>);
      for (int64_t t = 0; t < rows_at_once; ++t) {
        for (int64_t q = 0; q < B; ++q) acc[t][q] += a[r * m_size + m + t] * v[q];
      }
    }
    for (int64_t t = 0; t < rows_at_once; ++t) {
      for (int64_t q = 0; q < B; ++q) store(out + (m + t) * n_size + n + q * kLanes<T>, acc[t][q]);
    }
  }
}

// out[m][n] = sum_row a[row][m] * b[row][n]; m and n are multiples of kLanes.
template <class T>
void transposed_product(const T* a, const T* b, int64_t rows, int64_t m_size, int64_t n_size, T* out) {
  int64_t n = 0;
  for (; n + kPair * kLanes<T> <= n_size; n += kPair * kLanes<T>) {
    transposed_times_columns<T, kPair>(a, b, n, rows, m_size, n_size, out);
  }
  for (; n < n_size; n += kLanes<T>) transposed_times_columns<T, 1>(a, b, n, rows, m_size, n_size, out);
}

// out[channel] = sum over rows of f(row, c, lanes), blocks of channels, in four chains.
template <class T, class F>
void sum_rows(int64_t rows, int64_t channels, T* out, F f) {
  for (int64_t c = 0; c < channels; c += kLanes<T>) {
    const int64_t lanes = std::min(kLanes<T>, channels - c);
    Vec<T> acc[4] = {};
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
      for (int64_t t = 0; t < 4; ++t) acc[t] += f(r + t, c, lanes);
    }
    for (; r < rows; ++r) acc[0] += f(r, c, lanes);
    store(out + c, (acc[0] + acc[1]) + (acc[2] + acc[3]));
  }
}

}  // namespace naslib
