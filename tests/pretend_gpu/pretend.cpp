// A GPU that is none: what of NVIDIA's driver, cuBLAS and cuRAND candle calls for our networks, on the host, one thread after
// the other. Tests of the feature `cuda` run against it where there is no GPU: they show that launches have the arguments
// that kernels want, that copies and memory are asked for as they should be, and that running out of memory is survived.
// They show nothing of speed, of what runs at the same time, or of candle's own kernels, which are written anew here.
//
// `PRETEND_MEMORY` is how many bytes it has (2 GiB otherwise), `PRETEND_FREE` how many it says are free, `PRETEND_GPUS` how
// many GPUs there are (one otherwise). With `PRETEND_IDLE` its kernels do nothing, with `PRETEND_TELL` it says what memory it
// gives, with `PRETEND_OLD` it is too old for any kernel.
#include "../../crate/src/cuda/kernels.cu"
#include "../../crate/src/cuda/frozen.cu"
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

typedef int Status;
enum { OK = 0, INVALID = 1, OUT_OF_MEMORY = 2, OLD = 222, NOT_FOUND = 500 };
static std::mutex only_one;

static long setting(const char *name, long otherwise) {
    const char *value = getenv(name);
    return value ? atol(value) : otherwise;
}

// ---------------------------------------------------------------- numbers of a type by its name

enum Type { F32, F16, BF16, U8, U32, I64 };
static const char *const TYPES[] = {"f32", "f16", "bf16", "u8", "u32", "i64"};

static double load(Type type, const void *from, size_t i) {
    switch (type) {
    case F32: return ((const float *)from)[i];
    case F16: return wide(((const f16 *)from)[i]);
    case BF16: return wide(((const bf16 *)from)[i]);
    case U8: return ((const uint8_t *)from)[i];
    case U32: return ((const uint32_t *)from)[i];
    default: return (double)((const int64_t *)from)[i];
    }
}

static void store(Type type, void *to, size_t i, double x) {
    switch (type) {
    case F32: ((float *)to)[i] = (float)x; break;
    case F16: ((f16 *)to)[i] = Narrow<f16>::of((float)x); break;
    case BF16: ((bf16 *)to)[i] = Narrow<bf16>::of((float)x); break;
    case U8: ((uint8_t *)to)[i] = (uint8_t)x; break;
    case U32: ((uint32_t *)to)[i] = (uint32_t)x; break;
    default: ((int64_t *)to)[i] = (int64_t)x;
    }
}

static bool type_named(const std::string &name, Type &type) {
    for (int i = 0; i < 6; i++)
        if (name == TYPES[i]) return type = (Type)i, true;
    return false;
}

// ---------------------------------------------------------------- candle's kernels that our networks need

typedef void **Arguments;
template <typename T> static T &argument(Arguments at, int i) { return *(T *)at[i]; }
static size_t number(Arguments at, int i) { return argument<size_t>(at, i); }
static void *address(Arguments at, int i) { return (void *)argument<uint64_t>(at, i); }

// Where the i-th number of a tensor with these dimensions lies; contiguous where there is no information.
static size_t place(size_t i, size_t dims, const size_t *info, const size_t *strides) {
    if (!info) return i;
    size_t at = 0;
    for (size_t d = dims; d-- > 0; i /= info[d]) at += i % info[d] * strides[d];
    return at;
}

static bool unary(const std::string &what, double x, double &y) {
    if (what == "ucopy") return y = x, true;
    if (what == "urelu") return y = x < 0 ? 0 : x, true;
    if (what == "uneg") return y = -x, true;
    if (what == "uabs") return y = std::fabs(x), true;
    if (what == "usqr") return y = x * x, true;
    if (what == "usqrt") return y = std::sqrt(x), true;
    if (what == "urecip") return y = 1 / x, true;
    return false;
}

static bool theirs(const std::string &name, Arguments at) {
    double y;
    size_t cut = name.rfind('_');
    std::string what = name.substr(0, cut);
    Type type, from;
    if (cut == std::string::npos || !type_named(name.substr(cut + 1), type)) return false;
    size_t count = number(at, 0), dims = number(at, 1);
    if (unary(what, 1, y)) {
        auto info = (size_t *)address(at, 2);
        for (size_t i = 0; i < count; i++) {
            unary(what, load(type, address(at, 3), place(i, dims, info, info + dims)), y);
            store(type, address(at, 4), i, y);
        }
    } else if (what == "badd" || what == "bmul" || what == "bsub" || what == "bdiv") {
        auto info = (size_t *)address(at, 2);
        for (size_t i = 0; i < count; i++) {
            double x = load(type, address(at, 3), place(i, dims, info, info + dims));
            double y = load(type, address(at, 4), place(i, dims, info, info + 2 * dims));
            store(type, address(at, 5), i, what == "badd" ? x + y : what == "bsub" ? x - y : what == "bmul" ? x * y : x / y);
        }
    } else if (what == "ge") {
        auto info = (size_t *)address(at, 2);
        for (size_t i = 0; i < count; i++) {
            double x = load(type, address(at, 3), place(i, dims, info, info + dims));
            double y = load(type, address(at, 4), place(i, dims, info, info + 2 * dims));
            store(U8, address(at, 5), i, x >= y);
        }
    } else if (what == "affine") {
        auto info = (size_t *)address(at, 2);
        double mul = load(type, at[5], 0), add = load(type, at[6], 0);
        for (size_t i = 0; i < count; i++)
            store(type, address(at, 4), i, load(type, address(at, 3), place(i, dims, info, info + dims)) * mul + add);
    } else if (what.rfind("cast_", 0) == 0 && type_named(what.substr(5), from)) {
        auto info = (size_t *)address(at, 2);
        for (size_t i = 0; i < count; i++)
            store(type, address(at, 4), i, load(from, address(at, 3), place(i, dims, info, info + dims)));
    } else if (what == "fast_sum" || what == "fast_sum_small") {
        // The small one is told how many sums there are, the other how many numbers.
        size_t each = number(at, 1), dims = number(at, 2), sums = what == "fast_sum" ? count / each : count;
        auto info = (size_t *)address(at, 3);
        for (size_t i = 0; i < sums; i++) {
            double sum = 0;
            for (size_t j = 0; j < each; j++) sum += load(type, address(at, 4), place(i * each + j, dims, info, info + dims));
            store(type, address(at, 5), i, sum);
        }
    } else if (what == "const_set") {
        auto info = (size_t *)address(at, 2);
        double value = load(type, at[3], 0);
        for (size_t i = 0; i < count; i++) store(type, address(at, 4), place(i, dims, info, info + dims), value);
    } else if (what == "copy2d") {
        // source, destination, rows, columns, their strides
        auto source = address(at, 0), to = address(at, 1);
        uint32_t rows = argument<uint32_t>(at, 2), columns = argument<uint32_t>(at, 3);
        uint32_t from_step = argument<uint32_t>(at, 4), to_step = argument<uint32_t>(at, 5);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < columns; j++) store(type, to, i * to_step + j, load(type, source, i * from_step + j));
    } else {
        return false;
    }
    return true;
}

// ---------------------------------------------------------------- our kernels

template <typename A, typename B, typename C, typename O>
static void run(void (*kernel)(Plan, const A *, const B *, const C *, O *), unsigned threads, Arguments at) {
    host_step = threads;
    for (host_first = 0; host_first < threads; host_first++)
        kernel(argument<Plan>(at, 0), (const A *)address(at, 1), (const B *)address(at, 2), (const C *)address(at, 3),
               (O *)address(at, 4));
}

#define TRY(name)                                                                                                         \
    if (wanted == #name) return run(name, threads, at), true;
#define TYPE(T)                                                                                                           \
    TRY(depthwise_##T) TRY(depthwise_to_input_##T) TRY(depthwise_to_kernel_##T) TRY(unroll_##T) TRY(roll_up_##T) TRY(scale_##T) TRY(scale_to_both_##T)      \
    TRY(finish_##T) TRY(relu_##T) TRY(relu_backward_##T) TRY(max_pool_##T) TRY(max_pool_backward_##T) TRY(planes_##T) FROZEN_NAMES(TRY, T)

static bool ours(const std::string &wanted, unsigned threads, Arguments at) {
    TYPE(f32) TYPE(f16) TYPE(bf16)
    return false;
}

// ---------------------------------------------------------------- the driver

static std::map<uint64_t, size_t> allocated;
static size_t in_use;
static long memory() { return setting("PRETEND_MEMORY", 2L << 30); }

struct Module {
    bool ours;
    std::string text;
};
struct Function {
    std::string name;
    bool ours;
};

static Status allocate(uint64_t *address, size_t bytes) {
    std::lock_guard<std::mutex> guard(only_one);
    if (in_use + bytes > (size_t)memory()) return fprintf(stderr, "the pretended GPU is out of memory\n"), OUT_OF_MEMORY;
    if (getenv("PRETEND_TELL")) fprintf(stderr, "the pretended GPU gives %zu bytes\n", bytes);
    // Filled with NaN: what a kernel does not write is seen.
    void *made = malloc(bytes ? bytes : 1);
    memset(made, 0xff, bytes);
    in_use += bytes;
    *address = (uint64_t)made;
    allocated[*address] = bytes;
    return OK;
}

static Status release(uint64_t address) {
    std::lock_guard<std::mutex> guard(only_one);
    auto found = allocated.find(address);
    if (found == allocated.end()) return INVALID;
    in_use -= found->second;
    free((void *)address);
    allocated.erase(found);
    return OK;
}

// Whether so many bytes from an address on lie in one allocation.
static bool within(uint64_t address, size_t bytes) {
    std::lock_guard<std::mutex> guard(only_one);
    auto after = allocated.upper_bound(address);
    if (after == allocated.begin()) return bytes == 0;
    --after;
    return address + bytes <= after->first + after->second;
}

extern "C" {
Status cuInit(unsigned) { return OK; }
// NVRTC asks for it, and does without.
Status cuGetExportTable(const void **, const void *) { return NOT_FOUND; }
Status cuDriverGetVersion(int *version) { return *version = 13040, OK; }
Status cuDeviceGetCount(int *count) { return *count = (int)setting("PRETEND_GPUS", 1), OK; }
Status cuDeviceGet(int *device, int number) { return *device = number, OK; }
Status cuDeviceGetName(char *name, int length, int) { return snprintf(name, length, "a pretended GPU"), OK; }
Status cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = memory(), OK; }
Status cuDeviceGetAttribute(int *value, int attribute, int) {
    // Compute capability 8.0; memory from pools.
    return *value = attribute == 75 ? 8 : attribute == 76 ? 0 : 1, OK;
}
Status cuDevicePrimaryCtxRetain(void **context, int) { return *context = (void *)1, OK; }
Status cuDevicePrimaryCtxRelease_v2(int) { return OK; }
Status cuCtxSetCurrent(void *) { return OK; }
Status cuCtxGetCurrent(void **context) { return *context = (void *)1, OK; }
Status cuCtxSynchronize() { return OK; }
Status cuGetErrorName(Status status, const char **name) {
    *name = status == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : status == OLD ? "CUDA_ERROR_UNSUPPORTED_PTX_VERSION" : "CUDA_ERROR_PRETENDED";
    return OK;
}
Status cuGetErrorString(Status, const char **text) { return *text = "of a pretended GPU", OK; }
Status cuStreamCreate(void **stream, unsigned) { return *stream = (void *)2, OK; }
Status cuStreamDestroy_v2(void *) { return OK; }
Status cuStreamSynchronize(void *) { return OK; }
Status cuStreamWaitEvent(void *, void *, unsigned) { return OK; }
Status cuStreamIsCapturing(void *, int *status) { return *status = 0, OK; }
Status cuEventCreate(void **event, unsigned) { return *event = (void *)3, OK; }
Status cuEventRecord(void *, void *) { return OK; }
Status cuEventSynchronize(void *) { return OK; }
Status cuEventDestroy_v2(void *) { return OK; }
Status cuMemGetInfo_v2(size_t *free, size_t *total) { 
    return *total = memory(), *free = setting("PRETEND_FREE", *total - in_use), OK;
}
Status cuMemAlloc_v2(uint64_t *address, size_t bytes) { return allocate(address, bytes); }
Status cuMemAllocAsync(uint64_t *address, size_t bytes, void *) { return allocate(address, bytes); }
Status cuMemFree_v2(uint64_t address) { return release(address); }
Status cuMemFreeAsync(uint64_t address, void *) { return release(address); }
Status cuMemHostAlloc(void **address, size_t bytes, unsigned) { return *address = malloc(bytes ? bytes : 1), OK; }
Status cuMemFreeHost(void *address) { return free(address), OK; }
Status cuMemsetD8Async(uint64_t address, unsigned char value, size_t bytes, void *) {
    return within(address, bytes) ? (memset((void *)address, value, bytes), OK) : INVALID;
}
Status cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *) {
    return within(to, bytes) ? (memcpy((void *)to, from, bytes), OK) : INVALID;
}
Status cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *) {
    return within(from, bytes) ? (memcpy(to, (void *)from, bytes), OK) : INVALID;
}
Status cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *) {
    return within(to, bytes) && within(from, bytes) ? (memmove((void *)to, (void *)from, bytes), OK) : INVALID;
}
Status cuModuleLoadData(void **module, const void *image) {
    if (getenv("PRETEND_OLD")) return OLD;
    auto text = std::string((const char *)image);
    return *module = new Module{text.find("depthwise_to_kernel_bf16") != std::string::npos, text}, OK;
}
Status cuModuleUnload(void *module) { return delete (Module *)module, OK; }
Status cuModuleGetFunction(void **function, void *of, const char *name) {
    auto module = (Module *)of;
    // As in the compiled module, where it must be an entry.
    if (module->text.find(std::string(".entry ") + name + "(") == std::string::npos) return NOT_FOUND;
    return *function = new Function{name, module->ours}, OK;
}
Status cuLaunchKernel(void *of, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned,
                      void *, void **arguments, void **) {
    auto function = (Function *)of;
    if (getenv("PRETEND_IDLE")) return OK;
    std::lock_guard<std::mutex> guard(only_one);
    unsigned threads = gx * gy * gz * bx * by * bz;
    if (function->ours ? ours(function->name, threads, arguments) : theirs(function->name, arguments)) return OK;
    fprintf(stderr, "the pretended GPU has no kernel %s\n", function->name.c_str());
    return NOT_FOUND;
}

// ---------------------------------------------------------------- cuBLAS and cuRAND

Status cublasCreate_v2(void **handle) { return *handle = (void *)4, OK; }
Status cublasDestroy_v2(void *) { return OK; }
Status cublasSetStream_v2(void *, void *) { return OK; }
Status cublasGemmStridedBatchedEx(void *, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int at, int lda,
                                  long long step_a, const void *b, int bt, int ldb, long long step_b, const void *beta, void *c,
                                  int ct, int ldc, long long step_c, int batch, int, int) {
    auto type = [](int code) { return code == 0 ? F32 : code == 2 ? F16 : BF16; };
    if (*(const float *)alpha != 1.0f || *(const float *)beta != 0.0f) return INVALID;
    std::vector<float> left((size_t)m * k), right((size_t)k * n), sums(m);
    for (int photo = 0; photo < batch; photo++) {
        for (int j = 0; j < k; j++)
            for (int i = 0; i < m; i++)
                left[(size_t)j * m + i] = (float)load(type(at), a, photo * step_a + (ta ? (size_t)i * lda + j : (size_t)j * lda + i));
        for (int j = 0; j < n; j++)
            for (int i = 0; i < k; i++)
                right[(size_t)j * k + i] = (float)load(type(bt), b, photo * step_b + (tb ? (size_t)i * ldb + j : (size_t)j * ldb + i));
        for (int j = 0; j < n; j++) {
            std::fill(sums.begin(), sums.end(), 0.0f);
            for (int l = 0; l < k; l++) {
                float factor = right[(size_t)j * k + l];
                const float *column = &left[(size_t)l * m];
                for (int i = 0; i < m; i++) sums[i] += factor * column[i];
            }
            for (int i = 0; i < m; i++) store(type(ct), c, photo * step_c + (size_t)j * ldc + i, sums[i]);
        }
    }
    return OK;
}
// As the plan of a frozen network multiplies: one product, its second factor as it lies.
Status cublasGemmEx(void *handle, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int at, int lda,
                    const void *b, int bt, int ldb, const void *beta, void *c, int ct, int ldc, int compute, int algorithm) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, at, lda, 0, b, bt, ldb, 0, beta, c, ct, ldc, 0, 1, compute,
                                      algorithm);
}
Status curandCreateGenerator(void **generator, int) { return *generator = (void *)5, OK; }
Status curandDestroyGenerator(void *) { return OK; }
Status curandSetStream(void *, void *) { return OK; }
Status curandSetPseudoRandomGeneratorSeed(void *, unsigned long long) { return OK; }
Status curandSetGeneratorOffset(void *, unsigned long long) { return OK; }

// What is linked and not called.
#define UNUSED(name)                                                                                                      \
    Status name() { return fprintf(stderr, "the pretended GPU has no " #name "\n"), NOT_FOUND; }
UNUSED(cuCtxDestroy_v2)
UNUSED(cublasDgemmStridedBatched)
UNUSED(cuMemcpyPeerAsync)
UNUSED(cuModuleLoad)
}
