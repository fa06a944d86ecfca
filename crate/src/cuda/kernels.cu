// The operations of `models` that candle has none or slow ones for, on NVIDIA's GPUs; NCHW, one thread a number.
//
// Compiled at run time by NVRTC, for the GPU that is there, and without any header. No thread waits for another: sums over
// many pixels are taken in slices by one kernel and finished by a second. So a C++ compiler can build the same file for the
// host, where a test runs every thread in turn and compares with the operations of the CPU (`host.rs`).
//
// All kernels take the same arguments, so that one piece of Rust launches all: `Plan`, up to three inputs, the output.

#ifdef __CUDACC__
#define INLINE __device__ __forceinline__
#define KERNEL extern "C" __global__ void
#define FIRST (blockIdx.x * blockDim.x + threadIdx.x)
#define STEP (gridDim.x * blockDim.x)
#else
#define INLINE inline
#define KERNEL extern "C" void
static thread_local unsigned host_first, host_step;
#define FIRST host_first
#define STEP host_step
#endif

// As `Plan` in mod.rs: numbers of what a thread each is for, then shapes of input, output and kernel.
struct Plan {
    int threads;
    int photos, channels, height, width;
    int out_height, out_width;
    int rows, columns, stride;
    int above, left; // zeros around the input: above and below, left and right
    int activation; // 0 nothing, 1 ReLU, 2 ReLU6
    int slices;     // into which a sum is cut
    int row;        // the rest is for frozen.cu: numbers from one output pixel to the next
    int before;     // the activation of what comes in
    int padded;     // whether a mean counts zeros outside
};

// Halves are stored as bits and computed with in f32. NaN stays NaN.
struct f16 {
    unsigned short bits;
};
struct bf16 {
    unsigned short bits;
};

INLINE float wide(float x) { return x; }

INLINE unsigned bits_of(float x) {
    union { float number; unsigned bits; } both;
    both.number = x;
    return both.bits;
}

INLINE float number_of(unsigned bits) {
    union { float number; unsigned bits; } both;
    both.bits = bits;
    return both.number;
}

INLINE float wide(bf16 x) { return number_of((unsigned)x.bits << 16); }

INLINE float wide(f16 x) {
#ifdef __CUDACC__
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
#else
    unsigned sign = (unsigned)(x.bits & 0x8000) << 16, exponent = (x.bits >> 10) & 31, fraction = x.bits & 1023;
    if (exponent == 31) return number_of(sign | 0x7f800000u | (fraction << 13));
    if (exponent != 0) return number_of(sign | ((exponent + 112) << 23) | (fraction << 13));
    float small = (float)fraction * 5.9604644775390625e-8f; // 2 to the -24
    return sign ? -small : small;
#endif
}

template <typename T> struct Narrow;

template <> struct Narrow<float> {
    static INLINE float of(float x) { return x; }
};

template <> struct Narrow<bf16> {
    static INLINE bf16 of(float x) {
        unsigned bits = bits_of(x);
        bf16 y;
        // To the nearest, ties to even; a NaN must not be rounded to infinity.
        y.bits = x != x ? (unsigned short)((bits >> 16) | 64) : (unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
        return y;
    }
};

template <> struct Narrow<f16> {
    static INLINE f16 of(float x) {
        f16 y;
#ifdef __CUDACC__
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else
        unsigned bits = bits_of(x), sign = (bits >> 16) & 0x8000, size = bits & 0x7fffffff;
        if (size > 0x7f800000) {
            y.bits = (unsigned short)(sign | 0x7e00);
        } else if (size >= 0x477ff000) { // rounds to 65536 or more
            y.bits = (unsigned short)(sign | 0x7c00);
        } else if (size < 0x38800000) { // below 2 to the -14: adding 1/2 leaves the steps of 2 to the -24 in the fraction
            y.bits = (unsigned short)(sign | (bits_of(number_of(size) + 0.5f) - 0x3f000000u));
        } else {
            unsigned odd = (size >> 13) & 1;
            y.bits = (unsigned short)(sign | ((size - 0x38000000u + 0xfff + odd) >> 13));
        }
#endif
        return y;
    }
};

INLINE float activated(float x, int activation) {
    // Comparisons with NaN are false, so that a NaN passes.
    if (activation != 0 && x < 0.0f) return 0.0f;
    return activation == 2 && x > 6.0f ? 6.0f : x;
}

// An output pixel of a depthwise convolution; `bias` may be missing.
template <typename T>
INLINE void depthwise(const Plan &p, int i, const T *x, const T *kernel, const T *bias, T *out) {
    int column = i % p.out_width, row = i / p.out_width % p.out_height, plane = i / (p.out_width * p.out_height);
    int channel = plane % p.channels;
    x += plane * p.height * p.width;
    kernel += channel * p.rows * p.columns;
    int top = row * p.stride - p.above, left = column * p.stride - p.left;
    float sum = bias ? wide(bias[channel]) : 0.0f;
    for (int ky = 0; ky < p.rows; ky++) {
        int y = top + ky;
        if (y < 0 || y >= p.height) continue;
        for (int kx = 0; kx < p.columns; kx++) {
            int at = left + kx;
            if (at >= 0 && at < p.width) sum += wide(x[y * p.width + at]) * wide(kernel[ky * p.columns + kx]);
        }
    }
    out[i] = Narrow<T>::of(activated(sum, p.activation));
}

// The gradient of an input pixel: from each output pixel that met it.
template <typename T>
INLINE void depthwise_to_input(const Plan &p, int i, const T *gradient, const T *kernel, T *to_x) {
    int column = i % p.width, row = i / p.width % p.height, plane = i / (p.width * p.height);
    gradient += plane * p.out_height * p.out_width;
    kernel += plane % p.channels * p.rows * p.columns;
    float sum = 0.0f;
    for (int ky = 0; ky < p.rows; ky++) {
        int y = row + p.above - ky;
        if (y < 0 || y % p.stride != 0 || y / p.stride >= p.out_height) continue;
        for (int kx = 0; kx < p.columns; kx++) {
            int at = column + p.left - kx;
            if (at < 0 || at % p.stride != 0 || at / p.stride >= p.out_width) continue;
            sum += wide(gradient[y / p.stride * p.out_width + at / p.stride]) * wide(kernel[ky * p.columns + kx]);
        }
    }
    to_x[i] = Narrow<T>::of(sum);
}

// A slice of the gradient of a kernel's tap: (channel, tap, slice), the slice being some of all photos' output rows.
template <typename T>
INLINE void depthwise_to_kernel(const Plan &p, int i, const T *x, const T *gradient, float *slices) {
    int slice = i % p.slices, tap = i / p.slices % (p.rows * p.columns), channel = i / (p.slices * p.rows * p.columns);
    int ky = tap / p.columns, kx = tap % p.columns;
    float sum = 0.0f;
    for (int line = slice; line < p.photos * p.out_height; line += p.slices) {
        int plane = line / p.out_height * p.channels + channel, row = line % p.out_height;
        int y = row * p.stride + ky - p.above;
        if (y < 0 || y >= p.height) continue;
        const T *xs = x + (plane * p.height + y) * p.width, *gs = gradient + (plane * p.out_height + row) * p.out_width;
        for (int column = 0; column < p.out_width; column++) {
            int at = column * p.stride + kx - p.left;
            if (at >= 0 && at < p.width) sum += wide(xs[at]) * wide(gs[column]);
        }
    }
    slices[i] = sum;
}

// What a tap of a channel meets at an output pixel: (photo, channel, tap, pixel).
template <typename T> INLINE void unroll(const Plan &p, int i, const T *x, T *out) {
    int pixels = p.out_width * p.out_height, taps = p.rows * p.columns;
    int pixel = i % pixels, tap = i / pixels % taps, plane = i / pixels / taps;
    int y = pixel / p.out_width * p.stride + tap / p.columns - p.above;
    int at = pixel % p.out_width * p.stride + tap % p.columns - p.left;
    bool inside = y >= 0 && y < p.height && at >= 0 && at < p.width;
    out[i] = inside ? x[(plane * p.height + y) * p.width + at] : Narrow<T>::of(0.0f);
}

// The gradient of an input pixel: of each tap that met it, where that was.
template <typename T> INLINE void roll_up(const Plan &p, int i, const T *unrolled, T *to_x) {
    int column = i % p.width, row = i / p.width % p.height, plane = i / (p.width * p.height);
    int pixels = p.out_width * p.out_height;
    unrolled += plane * p.rows * p.columns * pixels;
    float sum = 0.0f;
    for (int ky = 0; ky < p.rows; ky++) {
        int y = row + p.above - ky;
        if (y < 0 || y % p.stride != 0 || y / p.stride >= p.out_height) continue;
        for (int kx = 0; kx < p.columns; kx++) {
            int at = column + p.left - kx;
            if (at < 0 || at % p.stride != 0 || at / p.stride >= p.out_width) continue;
            sum += wide(unrolled[(ky * p.columns + kx) * pixels + y / p.stride * p.out_width + at / p.stride]);
        }
    }
    to_x[i] = Narrow<T>::of(sum);
}

// A slice of the sums of g * x (first half) or of g (second half) over a channel: (half, channel, slice).
template <typename T>
INLINE void scale_to_both(const Plan &p, int i, const T *x, const T *gradient, float *slices) {
    int slice = i % p.slices, channel = i / p.slices % p.channels;
    bool products = i / (p.slices * p.channels) == 0;
    int pixels = p.height * p.width;
    float sum = 0.0f;
    for (int line = slice; line < p.photos * p.height; line += p.slices) {
        int from = (line / p.height * p.channels + channel) * pixels + line % p.height * p.width;
        for (int column = 0; column < p.width; column++) {
            float g = wide(gradient[from + column]);
            sum += products ? g * wide(x[from + column]) : g;
        }
    }
    slices[i] = sum;
}

// The sum of a number's slices.
template <typename T> INLINE void finish(const Plan &p, int i, const float *slices, T *out) {
    float sum = 0.0f;
    for (int slice = 0; slice < p.slices; slice++) sum += slices[i * p.slices + slice];
    out[i] = Narrow<T>::of(sum);
}

INLINE int channel_of(const Plan &p, int i) { return i / (p.height * p.width) % p.channels; }

// x * factor + summand, the factor 1 where there is none and the summand 0, then the activation.
template <typename T>
INLINE void scale(const Plan &p, int i, const T *x, const T *factor, const T *summand, T *out) {
    int channel = channel_of(p, i);
    float y = wide(x[i]);
    if (factor) y *= wide(factor[channel]);
    if (summand) y += wide(summand[channel]);
    out[i] = Narrow<T>::of(activated(y, p.activation));
}

template <typename T> INLINE void relu(const Plan &p, int i, const T *x, T *out) {
    out[i] = Narrow<T>::of(activated(wide(x[i]), p.activation));
}

template <typename T> INLINE void relu_backward(const Plan &p, int i, const T *x, const T *gradient, T *to_x) {
    float y = wide(x[i]);
    to_x[i] = y > 0.0f && (p.activation != 2 || y < 6.0f) ? gradient[i] : Narrow<T>::of(0.0f);
}

// Which pixel of a 3x3 window, two pixels apart, is the largest: the first of several, and the last NaN before all.
template <typename T> INLINE int largest(const Plan &p, const T *x, int row, int column) {
    int best = 2 * row * p.width + 2 * column;
    for (int y = 2 * row; y < 2 * row + 3; y++)
        for (int at = 2 * column; at < 2 * column + 3; at++) {
            float here = wide(x[y * p.width + at]), most = wide(x[best]);
            if (here > most || here != here) best = y * p.width + at;
        }
    return best;
}

template <typename T> INLINE void max_pool(const Plan &p, int i, const T *x, T *out) {
    int column = i % p.out_width, row = i / p.out_width % p.out_height, plane = i / (p.out_width * p.out_height);
    x += plane * p.height * p.width;
    out[i] = x[largest(p, x, row, column)];
}

// The gradient of an input pixel: of each of the four windows at most that it is the largest of.
template <typename T> INLINE void max_pool_backward(const Plan &p, int i, const T *x, const T *gradient, T *to_x) {
    int column = i % p.width, row = i / p.width % p.height, plane = i / (p.width * p.height);
    x += plane * p.height * p.width;
    gradient += plane * p.out_height * p.out_width;
    float sum = 0.0f;
    for (int y = row < 2 ? 0 : (row - 1) / 2; y <= row / 2 && y < p.out_height; y++)
        for (int at = column < 2 ? 0 : (column - 1) / 2; at <= column / 2 && at < p.out_width; at++)
            if (largest(p, x, y, at) == row * p.width + column) sum += wide(gradient[y * p.out_width + at]);
    to_x[i] = Narrow<T>::of(sum);
}

// A photo's bytes (N, H, W, 3) to planes (N, 3, H, W), each channel times its factor plus its summand.
template <typename T>
INLINE void planes(const Plan &p, int i, const unsigned char *rgb, const float *factor, const float *summand, T *out) {
    int pixels = p.height * p.width, pixel = i % pixels, channel = i / pixels % 3, photo = i / (3 * pixels);
    float value = (float)rgb[(photo * pixels + pixel) * 3 + channel];
    out[i] = Narrow<T>::of(value * factor[channel] + summand[channel]);
}

#define EACH(call)                                                                                                        \
    for (unsigned i = FIRST; i < (unsigned)p.threads; i += STEP) call

#define KERNELS(T)                                                                                                        \
    KERNEL depthwise_##T(Plan p, const T *a, const T *b, const T *c, T *out) { EACH(depthwise(p, i, a, b, c, out)); }      \
    KERNEL depthwise_to_input_##T(Plan p, const T *a, const T *b, const T *, T *out) {                                    \
        EACH(depthwise_to_input(p, i, a, b, out));                                                                        \
    }                                                                                                                     \
    KERNEL depthwise_to_kernel_##T(Plan p, const T *a, const T *b, const T *, float *out) {                               \
        EACH(depthwise_to_kernel(p, i, a, b, out));                                                                       \
    }                                                                                                                     \
    KERNEL unroll_##T(Plan p, const T *a, const T *, const T *, T *out) { EACH(unroll(p, i, a, out)); }                    \
    KERNEL roll_up_##T(Plan p, const T *a, const T *, const T *, T *out) { EACH(roll_up(p, i, a, out)); }                  \
    KERNEL scale_##T(Plan p, const T *a, const T *b, const T *c, T *out) { EACH(scale(p, i, a, b, c, out)); }              \
    KERNEL scale_to_both_##T(Plan p, const T *a, const T *b, const T *, float *out) {                                     \
        EACH(scale_to_both(p, i, a, b, out));                                                                             \
    }                                                                                                                     \
    KERNEL finish_##T(Plan p, const float *a, const T *, const T *, T *out) { EACH(finish(p, i, a, out)); }                \
    KERNEL relu_##T(Plan p, const T *a, const T *, const T *, T *out) { EACH(relu(p, i, a, out)); }                      \
    KERNEL relu_backward_##T(Plan p, const T *a, const T *b, const T *, T *out) {                                        \
        EACH(relu_backward(p, i, a, b, out));                                                                            \
    }                                                                                                                     \
    KERNEL max_pool_##T(Plan p, const T *a, const T *, const T *, T *out) { EACH(max_pool(p, i, a, out)); }                \
    KERNEL max_pool_backward_##T(Plan p, const T *a, const T *b, const T *, T *out) {                                     \
        EACH(max_pool_backward(p, i, a, b, out));                                                                         \
    }                                                                                                                     \
    KERNEL planes_##T(Plan p, const unsigned char *a, const float *b, const float *c, T *out) {                           \
        EACH(planes(p, i, a, b, c, out));                                                                                 \
    }

typedef float f32;
KERNELS(f32)
KERNELS(f16)
KERNELS(bf16)
