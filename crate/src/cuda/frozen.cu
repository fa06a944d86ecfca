// What the plan of a frozen network launches beside products of matrices (`freeze/launches`); behind kernels.cu in one source.
//
// Channels last, (N, H, W, C): a product of matrices then takes all pixels of all photos at once, its rows begin where
// tensor cores want them to, a branch writes its channels beside another's, and neighbouring threads read neighbouring
// channels. What is the same for a channel, a bias or a tap, is f32 whatever the activations are.
//
// `row` of the plan is how many numbers lie from one output pixel to the next.

#ifdef __CUDACC__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL
#endif

// A photo's bytes, three a pixel, each channel times its factor plus its summand: three of each.
template <typename T>
INLINE void pixels(const Plan &, int i, const unsigned char *rgb, const float *factors, T *out) {
    out[i] = Narrow<T>::of((float)rgb[i] * factors[i % 3] + factors[3 + i % 3]);
}

// Planes (N, 3, H, W) in f32 to pixels.
template <typename T> INLINE void turned(const Plan &p, int i, const float *planes, T *out) {
    int pixels = p.height * p.width, pixel = i / 3;
    out[i] = Narrow<T>::of(planes[(pixel / pixels * 3 + i % 3) * pixels + pixel % pixels]);
}

// What a kernel meets at an output pixel: a row of all channels of one tap, then of the next; zeros up to the row's end.
template <typename T> INLINE void window(const Plan &p, int i, const T *x, T *out) {
    int pixel = i / p.row, tap = i % p.row / p.channels, channel = i % p.row % p.channels;
    int column = pixel % p.out_width, line = pixel / p.out_width;
    int y = line % p.out_height * p.stride + tap / p.columns - p.above, at = column * p.stride + tap % p.columns - p.left;
    bool inside = tap < p.rows * p.columns && y >= 0 && y < p.height && at >= 0 && at < p.width;
    int photo = line / p.out_height;
    out[i] = inside ? x[((photo * p.height + y) * p.width + at) * p.channels + channel] : Narrow<T>::of(0.0f);
}

// Four output pixels of a row of a depthwise 3x3 convolution, for one channel: nine taps are read once for all four, and
// columns that windows share are. `constants` are nine taps, the bias, and the bias of what comes in, which its own
// activation follows: so what widened the channels is not written once more for that.
template <typename T, int STRIDE>
INLINE void four_pixels(const Plan &p, int i, const T *x, const float *constants, T *out) {
    const int WIDE = 3 * STRIDE + 3;
    int channel = i % p.channels, four = i / p.channels, across = (p.out_width + 3) / 4;
    int column = four % across * 4, line = four / across, row = line % p.out_height, photo = line / p.out_height;
    float bias = constants[9 * p.channels + channel], before = constants[10 * p.channels + channel];
    float sums[4] = {bias, bias, bias, bias};
    int left = column * STRIDE - p.left;
    UNROLL for (int ky = 0; ky < 3; ky++) {
        int y = row * STRIDE + ky - p.above;
        if (y < 0 || y >= p.height) continue;
        const T *xs = x + (photo * p.height + y) * p.width * p.channels + channel;
        float met[WIDE];
        UNROLL for (int j = 0; j < WIDE; j++) {
            int at = left + j;
            met[j] = at >= 0 && at < p.width ? activated(wide(xs[at * p.channels]) + before, p.before) : 0.0f;
        }
        UNROLL for (int kx = 0; kx < 3; kx++) {
            float tap = constants[(3 * ky + kx) * p.channels + channel];
            UNROLL for (int j = 0; j < 4; j++) sums[j] += met[j * STRIDE + kx] * tap;
        }
    }
    out += ((photo * p.out_height + row) * p.out_width + column) * p.channels + channel;
    UNROLL for (int j = 0; j < 4; j++)
        if (column + j < p.out_width) out[j * p.channels] = Narrow<T>::of(activated(sums[j], p.activation));
}

template <typename T> INLINE void channelwise(const Plan &p, int i, const T *x, const float *constants, T *out) {
    if (p.stride == 1)
        four_pixels<T, 1>(p, i, x, constants, out);
    else
        four_pixels<T, 2>(p, i, x, constants, out);
}

// What follows a product: its bias and activation, then what is added, if anything is. In place, or not.
template <typename T>
INLINE void settle(const Plan &p, int i, const T *x, const float *bias, const T *added, T *out) {
    float y = activated(wide(x[i]) + bias[i % p.channels], p.activation);
    out[i] = Narrow<T>::of(added ? y + wide(added[i]) : y);
}

// The largest of each 3x3 window, two pixels apart, into some of the channels of what comes out.
template <typename T> INLINE void pool_largest(const Plan &p, int i, const T *x, T *out) {
    int channel = i % p.channels, pixel = i / p.channels, column = pixel % p.out_width, line = pixel / p.out_width;
    x += (line / p.out_height * p.height + line % p.out_height * 2) * p.width * p.channels + channel;
    float most = wide(x[column * 2 * p.channels]);
    UNROLL for (int j = 1; j < 9; j++) {
        float here = wide(x[(j / 3 * p.width + column * 2 + j % 3) * p.channels]);
        if (here > most || here != here) most = here;
    }
    out[pixel * p.row + channel] = Narrow<T>::of(most);
}

// The mean of the 3x3 window around each pixel: of nine where zeros outside count, or of what lies inside.
template <typename T> INLINE void pool_mean(const Plan &p, int i, const T *x, T *out) {
    int channel = i % p.channels, pixel = i / p.channels, column = pixel % p.width, line = pixel / p.width;
    int row = line % p.height, count = 0;
    float sum = 0.0f;
    for (int j = 0; j < 9; j++) {
        int dy = j / 3 - 1, dx = j % 3 - 1;
        if (row + dy < 0 || row + dy >= p.height || column + dx < 0 || column + dx >= p.width) continue;
        sum += wide(x[((line + dy) * p.width + column + dx) * p.channels + channel]);
        count++;
    }
    out[i] = Narrow<T>::of(sum / (float)(p.padded ? 9 : count));
}

// The mean of all pixels of a channel, each with its bias and activation.
template <typename T> INLINE void mean(const Plan &p, int i, const T *x, const float *bias, float *out) {
    int channel = i % p.channels, pixels = p.height * p.width;
    x += i / p.channels * pixels * p.channels + channel;
    float sum = 0.0f, summand = bias[channel];
    for (int pixel = 0; pixel < pixels; pixel++) sum += activated(wide(x[pixel * p.channels]) + summand, p.activation);
    out[i] = sum / (float)pixels;
}

#define FROZEN(T)                                                                                                         \
    KERNEL pixels_##T(Plan p, const unsigned char *a, const float *b, const T *, T *out) { EACH(pixels(p, i, a, b, out)); }  \
    KERNEL turned_##T(Plan p, const float *a, const float *, const T *, T *out) { EACH(turned(p, i, a, out)); }             \
    KERNEL window_##T(Plan p, const T *a, const float *, const T *, T *out) { EACH(window(p, i, a, out)); }                 \
    KERNEL channelwise_##T(Plan p, const T *a, const float *b, const T *, T *out) { EACH(channelwise(p, i, a, b, out)); }    \
    KERNEL settle_##T(Plan p, const T *a, const float *b, const T *c, T *out) { EACH(settle(p, i, a, b, c, out)); }          \
    KERNEL pool_largest_##T(Plan p, const T *a, const float *, const T *, T *out) { EACH(pool_largest(p, i, a, out)); }      \
    KERNEL pool_mean_##T(Plan p, const T *a, const float *, const T *, T *out) { EACH(pool_mean(p, i, a, out)); }            \
    KERNEL mean_##T(Plan p, const T *a, const float *b, const T *, float *out) { EACH(mean(p, i, a, b, out)); }

FROZEN(f32)
FROZEN(f16)
FROZEN(bf16)

// Their names, for programs that find a kernel by its name.
#define FROZEN_NAMES(TRY, T)                                                                                              \
    TRY(pixels_##T) TRY(turned_##T) TRY(window_##T) TRY(channelwise_##T) TRY(settle_##T) TRY(pool_largest_##T)               \
    TRY(pool_mean_##T) TRY(mean_##T)
