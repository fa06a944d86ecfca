"""PyTorch's photos a second on the GPU, a JSON line for each way: torch_speed.py MODEL f32|tf32|f16|bf16 BATCH REPEATS"""

import contextlib
import json
import sys
import time

import torch
import torchvision

model, setting, batch, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = setting == "tf32"
torch.backends.cudnn.benchmark = True
half = {"f16": torch.float16, "bf16": torch.bfloat16}.get(setting)


def network():
    torch.manual_seed(0)
    if model == "mobilenet_v2":
        net = torchvision.models.mobilenet_v2(weights=None)
        net.classifier = torch.nn.Identity()
        return net, 224
    net = torchvision.models.inception_v3(weights=None, aux_logits=False, transform_input=False, init_weights=False)
    net.fc = torch.nn.Identity()
    return net, 299


def measure(compiled, memory_format):
    net, side = network()
    net = net.eval().cuda().to(memory_format=memory_format)
    x = torch.rand(batch, 3, side, side, device="cuda").to(memory_format=memory_format)
    if compiled:
        net = torch.compile(net)
    autocast = torch.autocast("cuda", half) if half else contextlib.nullcontext()
    with torch.inference_mode(), autocast:
        for _ in range(5):
            net(x)
        torch.cuda.synchronize()
        best = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            for _ in range(repeats):
                net(x)
            torch.cuda.synchronize()
            best = min(best, (time.perf_counter() - began) / repeats)
    return batch / best


for compiled in (False, True):
    for name, memory_format in (("contiguous", torch.contiguous_format), ("channels last", torch.channels_last)):
        way = f"{'compiled' if compiled else 'eager'}, {name}"
        try:
            print(json.dumps({"way": way, "images_per_second": measure(compiled, memory_format)}), flush=True)
        except Exception as error:  # a way that fails leaves the others
            print(f"PyTorch {way}: {error}", file=sys.stderr)
