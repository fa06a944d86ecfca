"""Writes fine_tune.json: two steps of fine-tuning MobileNetV2 from features.14 on, by PyTorch in double precision.

  python make_fine_tune.py

Weights and inputs come from `noise`, which the test in src/train/fine_tune/tests.rs has too, so that only results are in
the file: losses, gradients of the first step, and the weights after both; with batch norm in use and in training mode.
"""
import json
import math
import pathlib

import numpy as np
import torch
from torch.nn import functional as f

PHOTOS, CLASSES, FEATURES, RATE = 4, 3, 1280, 1e-3
# (layer, channels in, channels out, stride), all of them six times as wide in the middle
BLOCKS = [(14, 96, 160, 2), (15, 160, 160, 1), (16, 160, 160, 1), (17, 160, 320, 1)]


def noise(seed, shape):
    """Numbers from -1 to 1 that look random and are the same everywhere, exactly representable as f32."""
    with np.errstate(over="ignore"):
        x = np.arange(math.prod(shape), dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed * 0x85EBCA6B % 2**32)
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x2C1B3C6D)
        x ^= x >> np.uint32(12)
        x *= np.uint32(0x297A2D39)
        x ^= x >> np.uint32(15)
    return torch.tensor((x >> np.uint32(8)).astype(np.float64) / 2**23 - 1).reshape(shape)


def single(values):
    """As the nearest f32, which is what the test computes with."""
    return values.to(torch.float32).to(torch.float64)


shapes = {}
for layer, inputs, outputs, _ in BLOCKS:
    name, hidden = f"features.{layer}.conv", 6 * inputs
    convolutions = [(f"{name}.0.0", (hidden, inputs, 1, 1), f"{name}.0.1"), (f"{name}.1.0", (hidden, 1, 3, 3), f"{name}.1.1"),
                    (f"{name}.2", (outputs, hidden, 1, 1), f"{name}.3")]
    for kernel, shape, norm in convolutions:
        shapes[f"{kernel}.weight"] = shape
        shapes.update({f"{norm}.{part}": shape[:1] for part in ("weight", "bias", "running_mean", "running_var")})
shapes["features.18.0.weight"] = (FEATURES, 320, 1, 1)
shapes.update({f"features.18.1.{part}": (FEATURES,) for part in ("weight", "bias", "running_mean", "running_var")})


def start(seed, name):
    values = noise(seed, shapes[name])
    if len(shapes[name]) == 4:
        return single(values * np.float32(math.sqrt(3 / math.prod(shapes[name][1:]))))
    return single({"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}[name.split(".")[-1]] + 0.25 * values)


inputs = single(1.5 * noise(1000, (2 * PHOTOS, 96, 14, 14)))
labels = torch.arange(2 * PHOTOS) % CLASSES


def tune(training):
    weights = {name: start(seed, name) for seed, name in enumerate(sorted(shapes))}
    weights["head.weight"], weights["head.bias"] = single(0.1 * noise(1001, (CLASSES, FEATURES))), torch.zeros(CLASSES).double()
    learns = {name: w for name, w in weights.items() if "running" not in name}
    for w in learns.values():
        w.requires_grad_()
    adam = torch.optim.Adam(learns.values(), lr=RATE, betas=(0.9, 0.999), eps=1e-7)

    def convolve(x, kernel, norm, training, active=True, **how):
        x = f.conv2d(x, weights[f"{kernel}.weight"], **how)
        part = lambda name: weights[f"{norm}.{name}"]
        x = f.batch_norm(x, part("running_mean"), part("running_var"), part("weight"), part("bias"), training, 0.1, 1e-5)
        return f.relu6(x) if active else x

    def logits(x, training):
        for layer, inputs, outputs, stride in BLOCKS:
            name = f"features.{layer}.conv"
            y = convolve(x, f"{name}.0.0", f"{name}.0.1", training)
            y = convolve(y, f"{name}.1.0", f"{name}.1.1", training, stride=stride, padding=1, groups=6 * inputs)
            y = convolve(y, f"{name}.2", f"{name}.3", training, active=False)
            x = x + y if stride == 1 and inputs == outputs else y
        x = convolve(x, "features.18.0", "features.18.1", training)
        return f.linear(x.mean((2, 3)), weights["head.weight"], weights["head.bias"])

    some = lambda w: [w.flatten()[i * (w.numel() - 1) // 4].item() for i in range(5)]
    losses, gradients = [], {}
    for step in range(2):
        batch = slice(step * PHOTOS, (step + 1) * PHOTOS)
        loss = f.cross_entropy(logits(inputs[batch], training), labels[batch])
        losses.append(loss.item())
        adam.zero_grad()
        loss.backward()
        if step == 0:
            gradients = {name: {"norm": w.grad.norm().item(), "some": some(w.grad)} for name, w in learns.items()}
        adam.step()
    with torch.no_grad():
        after = logits(inputs[:2], False)
    return {"losses": losses, "gradients": gradients, "after": after.tolist(),
            "statistics": {name: some(w) for name, w in weights.items() if "running" in name}}


out = {
    "made_by": f"make_fine_tune.py with torch {torch.__version__}", "learning_rate": RATE,
    "stored": tune(False), "training": tune(True),
}
pathlib.Path(__file__).with_name("fine_tune.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
