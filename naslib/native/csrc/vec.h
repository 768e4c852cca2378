// Vectors as wide as the registers, through the compiler's vector extension: no intrinsics, so any instruction set will
// do. Wider ones would live on the stack: GCC keeps 64-byte vectors there on AVX2, five times slower.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace naslib {

// Independent accumulators per inner loop: enough to hide the latency of a multiply-add, few enough for the registers.
#if defined(__AVX512F__)
constexpr int64_t kBytes = 64;
constexpr int64_t kPair = 2;  // blocks of columns that a matrix product takes at a time
#elif defined(__AVX__)
constexpr int64_t kBytes = 32;
constexpr int64_t kPair = 1;
#else
constexpr int64_t kBytes = 16;
constexpr int64_t kPair = 1;
#endif
constexpr int64_t kTile = 8;

template <class T>
constexpr int64_t kLanes = kBytes / static_cast<int64_t>(sizeof(T));

template <class T>
struct VecOf {
  typedef T type __attribute__((vector_size(kBytes)));
};
template <class T>
using Vec = typename VecOf<T>::type;

template <class T>
inline int64_t round_up(int64_t n) {
  return (n + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

template <class T>
inline Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

template <class T>
inline void store(T* p, Vec<T> v) {
  std::memcpy(p, &v, sizeof(v));
}

// The first `lanes` numbers; the others are zero.
template <class T>
inline Vec<T> load(const T* p, int64_t lanes) {
  if (lanes >= kLanes<T>) return load(p);
  Vec<T> v = {};
  std::memcpy(&v, p, lanes * sizeof(T));
  return v;
}

template <class T>
inline void store(T* p, Vec<T> v, int64_t lanes) {
  if (lanes >= kLanes<T>) return store(p, v);
  std::memcpy(p, &v, lanes * sizeof(T));
}

// NaN stays NaN, as in torch.
template <class T>
inline Vec<T> relu(Vec<T> v) {
  const Vec<T> zero = {};
  return zero > v ? zero : v;
}

}  // namespace naslib
