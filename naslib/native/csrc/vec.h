// Vectors of 16 numbers through the compiler's vector extension: no intrinsics, so any instruction set will do.
#pragma once

#include <cstdint>
#include <cstring>

namespace naslib {

constexpr int64_t kLanes = 16;
// Independent accumulators per inner loop: enough to hide the latency of a multiply-add, few enough for the registers.
#ifdef __AVX512F__
constexpr int64_t kTile = 8;
constexpr int64_t kPair = 2;  // blocks of columns that a matrix product takes at a time
#else
constexpr int64_t kTile = 4;
constexpr int64_t kPair = 1;
#endif

template <class T>
struct VecOf {
  typedef T type __attribute__((vector_size(kLanes * sizeof(T))));
};
template <class T>
using Vec = typename VecOf<T>::type;

inline int64_t round_up(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

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
  if (lanes >= kLanes) return load(p);
  Vec<T> v = {};
  std::memcpy(&v, p, lanes * sizeof(T));
  return v;
}

template <class T>
inline void store(T* p, Vec<T> v, int64_t lanes) {
  if (lanes >= kLanes) return store(p, v);
  std::memcpy(p, &v, lanes * sizeof(T));
}

// NaN stays NaN, as in torch.
template <class T>
inline Vec<T> relu(Vec<T> v) {
  const Vec<T> zero = {};
  return zero > v ? zero : v;
}

}  // namespace naslib
