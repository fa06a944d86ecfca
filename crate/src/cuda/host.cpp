// Runs one kernel of kernels.cu or frozen.cu on the host, thread after thread: `host KERNEL` with, on standard input, the plan, three
// inputs (each its length in bytes, then the bytes; length 0 is no input) and the length of the output, which it prints.
#include "kernels.cu"
#include "frozen.cu"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

static void take(void *to, size_t bytes) {
    if (fread(to, 1, bytes, stdin) != bytes) _Exit(3);
}

// Exactly as long as it says, so that a sanitizer sees what reads beyond.
static std::unique_ptr<char[]> buffer(uint64_t bytes) { return std::unique_ptr<char[]>(bytes ? new char[bytes]() : nullptr); }

template <typename A, typename B, typename C, typename O>
static void run(void (*kernel)(Plan, const A *, const B *, const C *, O *), const Plan &plan, char **in, char *out) {
    // A grid smaller than the work, of a size that divides nothing: threads must come back for more.
    host_step = 97;
    for (host_first = 0; host_first < host_step; host_first++)
        kernel(plan, (const A *)in[0], (const B *)in[1], (const C *)in[2], (O *)out);
}

#define TRY(name)                                                                                                         \
    if (!strcmp(wanted, #name)) return run(name, plan, in, out), true;
#define TYPE(T)                                                                                                           \
    TRY(depthwise_##T) TRY(depthwise_to_input_##T) TRY(depthwise_to_kernel_##T) TRY(unroll_##T) TRY(roll_up_##T) TRY(scale_##T) TRY(scale_to_both_##T)      \
    TRY(finish_##T) TRY(relu_##T) TRY(relu_backward_##T) TRY(max_pool_##T) TRY(max_pool_backward_##T) TRY(planes_##T) FROZEN_NAMES(TRY, T)

static bool found(const char *wanted, const Plan &plan, char **in, char *out) {
    TYPE(f32) TYPE(f16) TYPE(bf16)
    return false;
}

int main(int, char **arguments) {
    Plan plan;
    take(&plan, sizeof plan);
    std::unique_ptr<char[]> kept[3];
    char *in[3];
    uint64_t length;
    for (int i = 0; i < 3; i++) {
        take(&length, sizeof length);
        kept[i] = buffer(length);
        if (length) take(kept[i].get(), length);
        in[i] = kept[i].get();
    }
    take(&length, sizeof length);
    auto out = buffer(length);
    if (!found(arguments[1], plan, in, out.get())) return 2;
    return fwrite(out.get(), 1, length, stdout) == length ? 0 : 3;
}
