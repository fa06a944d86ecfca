"""PyTorch's photos a second on the GPU, a JSON line for each way: torch_speed.py MODEL REPEATS SETTING:BATCH...

A setting is f32, tf32, f16 or bf16. With "cpu" for a first argument it runs on the CPU, to see that it runs."""

import contextlib
import json
import sys
import time

import torch
import torchvision

device = "cpu" if sys.argv[1] == "cpu" else "cuda"
model, repeats, *points = sys.argv[2 if device == "cpu" else 1 :]
LAST, CONTIGUOUS = torch.channels_last, torch.contiguous_format
# Name, whether compiled, how pixels lie, and whether the weights are halves, which autocast makes of them again and again.
WHOLE = [
    ("eager, contiguous", False, CONTIGUOUS, False),
    ("eager, channels last", False, LAST, False),
    ("compiled, contiguous", True, CONTIGUOUS, False),
    ("compiled, channels last", True, LAST, False),
]
HALVES = [
    ("eager, autocast", False, LAST, False),
    ("eager, weights in halves", False, LAST, True),
    ("compiled, autocast", True, LAST, False),
    ("compiled, weights in halves", True, LAST, True),
]


def network():
    torch.manual_seed(0)
    if model == "mobilenet_v2":
        net = torchvision.models.mobilenet_v2(weights=None)
        net.classifier = torch.nn.Identity()
        return net, 224
    net = torchvision.models.inception_v3(weights=None, aux_logits=False, transform_input=False, init_weights=False)
    net.fc = torch.nn.Identity()
    return net, 299


def wait():
    if device == "cuda":
        torch.cuda.synchronize()


def measure(half, batch, compiled, memory_format, halves):
    net, side = network()
    dtype = half if halves else torch.float32
    net = net.eval().to(device, dtype, memory_format=memory_format)
    x = torch.rand(batch, 3, side, side, device=device).to(dtype, memory_format=memory_format)
    if compiled:
        torch.compiler.reset()
        # With graphs of launches, which is its best for small batches.
        net = torch.compile(net, mode="reduce-overhead", dynamic=False)
    autocast = torch.autocast(device, half) if half and not halves else contextlib.nullcontext()
    with torch.inference_mode(), autocast:
        for _ in range(5):
            net(x)
        wait()
        best = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            for _ in range(int(repeats)):
                net(x)
            wait()
            best = min(best, (time.perf_counter() - began) / int(repeats))
    return batch / best


print(json.dumps({"torch": torch.__version__, "cuda": torch.version.cuda, "there": torch.cuda.is_available()}), flush=True)
if device == "cuda" and not torch.cuda.is_available():
    sys.exit("this PyTorch finds no GPU")
torch.backends.cudnn.benchmark = True
for point in points:
    setting, batch = point.split(":")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = setting == "tf32"
    half = {"f16": torch.float16, "bf16": torch.bfloat16}.get(setting)
    for way, *how in HALVES if half else WHOLE:
        line = {"setting": setting, "batch": int(batch), "way": way}
        try:
            print(json.dumps(line | {"images_per_second": measure(half, int(batch), *how)}), flush=True)
        except Exception as error:  # a way that fails leaves the others
            print(f"PyTorch, {point}, {way}: {error}", file=sys.stderr)
