"""Writes explain_operations.json: single operations and their gradients, by PyTorch in double precision.

  python make_explain_operations.py

All inputs come from two formulas that the test has too, so that only results are in the file:

steps(seed, shape)  ((i * 7919 + seed * 104729) mod 13) - 6: integers, so that windows hold the same value more than once
signed(name, shape) the noise of make_explain.py, in [-1, 1)

A case is the operation's "value", and the gradients of sum(value * signed("weights", shape of value)).

max_pool       3x3, 2 apart, nothing beyond the edge. Among equal values in a window the first, row by row, takes all of the
               gradient: that is PyTorch's rule. "shared" is the gradient where equal values share it, nested by columns
               in the way candle's maximum does (see `shared`), for an implementation out of maxima
average_pool   3x3, 1 apart, with zeros beyond the edge that count ("counted": over 9 always) or not ("uncounted")
convolution    by name: kernel h x w, stride, padding (rows, columns), groups; "to_x" and "to_kernel"
total_variation of a photo (3, H, W), "absolute": sum |x[c,i+1,j] - x[c,i,j]| + sum |x[c,i,j+1] - x[c,i,j]|, and "squared":
               the sum of their squares; sums over c, i and j, no mean
upsampling     bilinear from 7x7 to 224x224 and from 8x8 to 299x299, corners not aligned (half-pixel centres, the edge
               repeated): "some" at flat indices floor(len * j / 64)
spectrum       a photo from its frequencies, below

spectrum: s of shape (3, H, W // 2 + 1, 2), the last axis real and imaginary part, is multiplied by
1 / max(f, 1 / max(H, W)), f = sqrt(fy^2 + fx^2) with fy = fftfreq(H) and fx = rfftfreq(W) in cycles a pixel; then
irfft2(norm="ortho") makes "pixels" (3, H, W), which written out is
    pixels[n, m] = 1 / sqrt(H W) sum_ky sum_kx twice(kx) Re(s[ky, kx] exp(2 pi i (ky n / H + kx m / W)))
with twice = 1 for kx = 0 and for kx = W / 2, else 2, as the half of the spectrum that is not stored adds the same; then colours are correlated, each pixel
times COLOURS (lucid's root of the covariance of ImageNet's colours, over the largest norm of its columns:
rgb[o] = sum_i COLOURS[o][i] pixels[i]) is "colours"; then 1 / (1 + exp(-colours)) is "image". There is no further factor.
"""
import json
import math
import pathlib

import numpy as np
import torch
from torch.nn import functional as f

import make_explain

COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOURS /= np.linalg.norm(COLOURS, axis=0).max()
# kernel height and width, stride, padding, groups, input (N, C, H, W), output channels
CONVOLUTIONS = {
    "3x3": (3, 3, 1, (1, 1), 1, (1, 2, 5, 6), 3), "3x3 unpadded": (3, 3, 1, (0, 0), 1, (2, 2, 5, 6), 3),
    "3x3 by 2": (3, 3, 2, (0, 0), 1, (2, 2, 7, 9), 3), "3x3 by 2, one side left over": (3, 3, 2, (0, 0), 1, (1, 2, 7, 8), 3),
    "3x3 by 2, both left over": (3, 3, 2, (0, 0), 1, (1, 2, 8, 8), 3), "3x3 by 2, padded": (3, 3, 2, (1, 1), 1, (1, 3, 8, 8), 2),
    "1x7": (1, 7, 1, (0, 3), 1, (2, 2, 4, 9), 3), "7x1": (7, 1, 1, (3, 0), 1, (2, 2, 9, 4), 3),
    "1x3": (1, 3, 1, (0, 1), 1, (1, 2, 3, 5), 2), "5x5": (5, 5, 1, (2, 2), 1, (1, 2, 6, 4), 2),
    "1x1": (1, 1, 1, (0, 0), 1, (2, 3, 3, 4), 2), "1x1, wide": (1, 1, 1, (0, 0), 1, (3, 16, 1, 2), 16),
    "depthwise": (3, 3, 1, (1, 1), 4, (2, 4, 5, 6), 4), "depthwise by 2": (3, 3, 2, (1, 1), 4, (2, 4, 7, 8), 4),
}


def steps(seed, shape):
    i = torch.arange(math.prod(shape))
    return ((i * 7919 + seed * 104729) % 13 - 6).double().reshape(shape)


def signed(name, shape):
    return torch.from_numpy(make_explain.signed(name, math.prod(shape))).double().reshape(tuple(shape))


def numbers(tensor):
    return [make_explain.number(v) for v in tensor.flatten()]


def case(value, **inputs):
    """The value of an operation and the gradients of its inputs."""
    gradients = torch.autograd.grad((value * signed("weights", value.shape)).sum(), list(inputs.values()))
    return {"shape": list(value.shape), "value": numbers(value),
            **{f"to_{name}": numbers(g) for name, g in zip(inputs, gradients)}}


def shared(x, weights):
    """The gradient of the max pool as maxima of maxima: ((a, b), c) down each column, then along rows; equals halve."""
    def three(t):
        return torch.maximum(torch.maximum(t[0], t[1]), t[2])
    rows, columns = (x.shape[2] - 1) // 2, (x.shape[3] - 1) // 2
    y = three([x[:, :, k:k + 2 * rows - 1:2] for k in range(3)])
    y = three([y[:, :, :, k:k + 2 * columns - 1:2] for k in range(3)])
    return torch.autograd.grad((y * weights).sum(), x)[0]


def max_pool(shape):
    x = steps(1, shape).requires_grad_()
    value = f.max_pool2d(x, 3, 2)
    return {"input": list(shape), **case(value, x=x), "shared": numbers(shared(x, signed("weights", value.shape)))}


def average_pool(shape):
    x = steps(2, shape).requires_grad_()
    both = {True: "counted", False: "uncounted"}
    return {"input": list(shape), **{name: case(f.avg_pool2d(x, 3, 1, 1, count_include_pad=counts), x=x)
                                     for counts, name in both.items()}}


def convolution(height, width, stride, padding, groups, shape, out):
    x = steps(3, shape).requires_grad_()
    kernel = steps(4, (out, shape[1] // groups, height, width)).requires_grad_()
    return {"input": list(shape), "kernel": list(kernel.shape), "stride": stride, "padding": padding, "groups": groups,
            **case(f.conv2d(x, kernel, None, stride, padding, 1, groups), x=x, kernel=kernel)}


def total_variation(shape):
    x = signed("photo", shape).requires_grad_()
    down, right = x.diff(dim=1), x.diff(dim=2)
    kinds = {"absolute": down.abs().sum() + right.abs().sum(), "squared": (down**2).sum() + (right**2).sum()}
    return {"input": list(shape), **{name: {"value": make_explain.number(value), "to_x": numbers(torch.autograd.grad(value, x)[0])}
                                     for name, value in kinds.items()}}


def upsampling(side, wide):
    y = f.interpolate(signed("map", (1, 1, side, side)), (wide, wide), mode="bilinear", align_corners=False).flatten()
    return {"from": side, "to": wide, "some": [make_explain.number(y[len(y) * j // 64]) for j in range(64)],
            "sum": make_explain.number(y.sum())}


def written_out(s, height, width):
    """irfft2 as the sum that the docstring has."""
    along = lambda count, of: torch.exp(2j * math.pi / of * torch.outer(torch.arange(of), torch.arange(count)).cdouble())
    twice = torch.tensor([1 if 2 * k in (0, width) else 2 for k in range(width // 2 + 1)])
    rows, columns = along(height, height), along(width // 2 + 1, width) * twice
    return torch.einsum("ny,cyx,mx->cnm", rows, s, columns).real / math.sqrt(height * width)


def spectrum(height, width):
    s = signed("spectrum", (3, height, width // 2 + 1, 2)).requires_grad_()
    frequency = np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width)[None] ** 2)
    scale = torch.from_numpy(1 / np.maximum(frequency, 1 / max(height, width)))
    pixels = torch.fft.irfft2(torch.view_as_complex(s) * scale, s=(height, width), norm="ortho")
    assert torch.allclose(pixels, written_out(torch.view_as_complex(s) * scale, height, width))
    colours = torch.einsum("oi,ihw->ohw", torch.from_numpy(COLOURS), pixels)
    image = torch.sigmoid(colours)
    weights = signed("weights", image.shape)
    to = lambda value: numbers(torch.autograd.grad((value * weights).sum(), s, retain_graph=True)[0])
    return {"input": list(s.shape), "scale": numbers(scale), "pixels": numbers(pixels), "colours": numbers(colours),
            "image": numbers(image), "pixels_to_spectrum": to(pixels), "colours_to_spectrum": to(colours),
            "image_to_spectrum": to(image)}


def main():
    out = {
        "made_by": f"make_explain_operations.py with torch {torch.__version__.split('+')[0]}, float64",
        "steps": numbers(steps(1, (8,))), "signed": numbers(signed("weights", (8,))),
        "max_pool": [max_pool(shape) for shape in ((1, 2, 7, 9), (2, 1, 8, 6), (1, 1, 3, 3))],
        "average_pool": [average_pool(shape) for shape in ((1, 2, 4, 5), (2, 1, 1, 3), (1, 1, 2, 2))],
        "convolution": {name: convolution(*about) for name, about in CONVOLUTIONS.items()},
        "total_variation": total_variation((3, 5, 6)),
        "upsampling": [upsampling(7, 224), upsampling(8, 299)],
        "colours": numbers(torch.from_numpy(COLOURS)),
        "spectrum": [spectrum(8, 10), spectrum(7, 9)],
    }
    path = pathlib.Path(__file__).with_name("explain_operations.json")
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
