"""Writes explain.json: gradients, heat maps and silent channels of both networks, by PyTorch in double precision.

  python make_explain.py [--weights mobilenet_v2-b0353104.pth]

Without `--weights` (torchvision's IMAGENET1K_V1) the numbers of the trained MobileNetV2 stay as they are in the file.
All other weights and both photos come from the formulas below, which golden_numbers/mod.rs has too.

The file: "mobilenet_v2" and "inception_v3" have "kernels", names and shapes; "mobilenet_v2" has "trained" and "formula", "inception_v3" has "torchvision" and "keras" (formula weights; with
Keras' conventions average pools leave out what lies beyond the edge, and batch norms have no scale). In each:

classes   the two with the largest logits, so that there is something to see
logits    for both classes, by number: the logit's "value" and its "gradient" with respect to the photo
layers    by name: "value" and "gradient" of the mean of one "channel" over rows and columns; "shape" (C, h, w)
maps      by class: "cam", "grad_cam", "grad_cam_plus_plus" at the last convolution, and "grad_cam_earlier" at "earlier".
          Each is "map" (row by row, after ReLU, over its maximum), and "peak", the maximum it was divided by
silent    by name, each ReLU: of all "channels" how many are 0 everywhere ("silent"), and how many of all "numbers" are
          0 ("zeros")
occlusion (MobileNetV2) by class: the logit less that with a square of zeros over the photo; "drop" row by row

A gradient is its "norm"; "some", its values at the flat indices floor(len * j / 40), j = 0..39; and "along", its products
with the directions signed("along.0"), signed("along.1") and signed("along.2"), which leave no value out. All are held to
differences of the values themselves before they are written. "single" is how far PyTorch's own gradient in single precision
is from it, over the norm: where units are near the kink of their ReLU, rounding puts some on its other side, and with them
their whole share of the gradient.

With A_k the activations of channel k, g_k the gradient of the class's logit with respect to them (of the logit, not of the
probability), and w the head's weights of the class:

CAM         sum_k w_k A_k                                           (Zhou et al. 2016, without the head's bias)
Grad-CAM    sum_k mean(g_k) A_k                                     (Selvaraju et al. 2017)
Grad-CAM++  sum_k c_k A_k with c_k = sum_ij alpha_ij relu(g_k,ij),  (Chattopadhay et al. 2018, of exp(logit), whose
            alpha_ij = g_ij^2 / (2 g_ij^2 + sum_ab A_k,ab g_ij^3)   equation 19 it is; the common factor exp(logit) left out)

each then max(., 0) over its maximum. No epsilon: alpha is needed only where g > 0, and there it is 1 / (2 + g sum(A)), with
A >= 0 after a ReLU.
"""
import argparse
import copy
import hashlib
import json
import math
import pathlib

import numpy as np
import torch
import torchvision
from torch.nn import functional as f

MOBILENET = {"side": 224, "scale": 2.0, "last": "features.18", "earlier": "features.13", "layers": [
    "features.0", "features.2", "features.5.conv.0.0", "features.5.conv.1", "features.5.conv.3", "features.5", "features.10",
    "features.14.conv.1.0", "features.14", "features.17", "features.18"]}
INCEPTION = {"side": 299, "scale": 1.0, "last": "Mixed_7c", "earlier": "Mixed_6e", "layers": [
    "Conv2d_1a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_4a_3x3.bn", "Mixed_5b", "Mixed_5d", "Mixed_6a",
    "Mixed_6b.branch7x7_2", "Mixed_6e", "Mixed_7a", "Mixed_7b.branch3x3_2a", "Mixed_7c"]}
PATCH, STRIDE = 48, 24


def fnv1a(name):
    h = 2166136261
    for byte in name.encode():
        h = ((h ^ byte) * 16777619) % 2**32
    return h


def signed(name, count):
    """Noise for a tensor of this name, in [-1, 1), exact in f32."""
    z = (fnv1a(name) + np.arange(count, dtype=np.uint64) * 2654435761) % 2**32
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        z ^= z >> np.uint64(shift)
        z = z * factor % 2**32
    z ^= z >> np.uint64(16)
    return (z >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def parameter(name, shape):
    kind, noise = name.rsplit(".", 1)[-1], signed(name, math.prod(shape))
    if kind == "running_var":
        value = 1 + np.float32(0.5) * noise
    elif kind in ("running_mean", "bias"):
        value = np.float32(0.125) * noise
    elif len(shape) == 1:
        value = 1 + np.float32(0.25) * noise
    else:
        value = np.float32(math.sqrt(6 / math.prod(shape[1:]))) * noise
    return torch.from_numpy(value.reshape(shape))


def formula(net, scaled=True):
    """The network with weights by formula; unscaled, the scales of its batch norms are 1."""
    state = {n: parameter(n, tuple(t.shape)) for n, t in net.state_dict().items() if not n.endswith("tracked")}
    if not scaled:
        state.update({n: torch.ones_like(t) for n, t in state.items() if n.endswith(".bn.weight")})
    net.load_state_dict(state, strict=False)
    return net.double().eval()


def photo(side, scale):
    """x[i] = (((i * 2654435761) mod 2^32) >> 8) * scale * 2^-23 - scale: the first of the reference's two photos."""
    i = np.arange(3 * side * side, dtype=np.uint64)
    x = (i * 2654435761 % 2**32 >> np.uint64(8)).astype(np.float64) * scale * 2**-23 - scale
    return torch.from_numpy(x.reshape(1, 3, side, side))


def number(value):
    return float(f"{value.detach().item():.6g}")


def gradient_of(value, x, value_32, x_32):
    (g,), (g_32,) = torch.autograd.grad(value, x, retain_graph=True), torch.autograd.grad(value_32, x_32, retain_graph=True)
    flat = g.flatten()
    along = [torch.from_numpy(signed(f"along.{j}", len(flat))).double() @ flat for j in range(3)]
    return {"norm": number(flat.norm()), "single": number((g_32.double() - g).norm() / g.norm()), "some": [number(flat[len(flat) * j // 40]) for j in range(40)],
            "along": [number(v) for v in along]}


def heat(total):
    total = total.detach().clamp(min=0)
    peak = total.max()
    assert peak > 0, "a map of nothing"
    return {"peak": number(peak), "map": [number(v) for v in (total / peak).flatten()]}


def maps(logit, seen, head, about):
    last, earlier = seen[about["last"]], seen[about["earlier"]]
    g, g_earlier = torch.autograd.grad(logit, (last, earlier), retain_graph=True)
    weigh = lambda weights, a: (weights[:, None, None] * a[0]).sum(0)
    alpha = g**2 / (2 * g**2 + last.sum((2, 3), keepdim=True) * g**3)
    plus = torch.where(g > 0, alpha * g, torch.zeros(())).sum((2, 3))[0]
    return {"cam": heat(weigh(head, last)), "grad_cam": heat(weigh(g.mean((2, 3))[0], last)),
            "grad_cam_plus_plus": heat(weigh(plus, last)), "earlier": about["earlier"],
            "grad_cam_earlier": heat(weigh(g_earlier.mean((2, 3))[0], earlier))}


def silent(activations):
    channels = activations[0].detach().flatten(1)
    return {"channels": len(channels), "silent": int((channels <= 0).all(1).sum()), "numbers": channels.numel(),
            "zeros": int((channels <= 0).sum())}


def is_relu(module):
    if isinstance(module, torchvision.ops.Conv2dNormActivation):
        return len(module) == 3
    return isinstance(module, torchvision.models.inception.BasicConv2d)


def occlusion(net, x, classes):
    """Squares of zeros, the photo's mean, PATCH wide and high at 0, STRIDE, .. as long as they lie wholly inside."""
    starts = list(range(0, x.shape[-1] - PATCH + 1, STRIDE))
    with torch.no_grad():
        whole, drops = net(x)[0], []
        for top in starts:
            covered = x.repeat(len(starts), 1, 1, 1)
            for row, left in zip(covered, starts):
                row[:, top:top + PATCH, left:left + PATCH] = 0
            drops.append(whole - net(covered))
    drops = torch.cat(drops)
    return {"patch": PATCH, "stride": STRIDE, "starts": starts,
            "drop": {str(c): [number(v) for v in drops[:, c]] for c in classes}}


def run(net, x, names):
    """The logits of one photo, and the activations of these modules."""
    seen = {}

    def keep(name, activations):
        seen[name] = activations
        return activations.clone()  # a ReLU behind it may work in place

    hooks = [net.get_submodule(name).register_forward_hook(lambda m, i, o, name=name: keep(name, o)) for name in names]
    logits = net(x)[0]
    for hook in hooks:
        hook.remove()
    return logits, seen


def check(net, x, out):
    """The gradients against differences of values 2e-9 times each direction apart."""
    for j in range(3):
        step = 1e-9 * torch.from_numpy(signed(f"along.{j}", x.numel())).reshape(x.shape)
        with torch.no_grad():
            (low, below), (high, above) = (run(net, at, out["layers"]) for at in (x - step, x + step))
        pairs = [(out["logits"][str(c)], high[c] - low[c]) for c in out["classes"]]
        pairs += [(found, (above[name] - below[name])[0, found["channel"]].mean()) for name, found in out["layers"].items()]
        for found, difference in pairs:
            off = abs(difference.item() / 2e-9 - found["gradient"]["along"][j]) / found["gradient"]["norm"]
            assert off < 1e-3, off


def look(net, head, about):
    x = photo(about["side"], about["scale"]).requires_grad_()
    relus = [name for name, module in net.named_modules() if is_relu(module)]
    logits, seen = run(net, x, dict.fromkeys([*relus, *about["layers"], about["earlier"]]))
    x_32 = x.detach().float().requires_grad_()
    logits_32, seen_32 = run(copy.deepcopy(net).float(), x_32, about["layers"])
    classes = logits.topk(2).indices.tolist()
    out = {"classes": classes,
           "logits": {str(c): {"value": number(logits[c]), "gradient": gradient_of(logits[c], x, logits_32[c], x_32)} for c in classes},
           "layers": {}, "maps": {str(c): maps(logits[c], seen, head[c], about) for c in classes},
           "silent": {name: silent(seen[name]) for name in relus}}
    for name in about["layers"]:
        means = seen[name][0].mean((1, 2))
        # The first channel from 5 on that says something.
        channel = next(c for c in range(5, len(means)) if abs(means[c]) > 1e-3)
        gradient = gradient_of(means[channel], x, seen_32[name][0, channel].mean(), x_32)
        out["layers"][name] = {"shape": list(seen[name].shape[1:]), "channel": channel, "value": number(means[channel]),
                               "gradient": gradient}
    check(net, x.detach(), out)
    if about is MOBILENET:
        out["occlusion"] = occlusion(net, x.detach(), classes)
    return out


def kernels(net):
    return [[name.removesuffix(".weight"), list(t.shape)] for name, t in net.state_dict().items() if t.dim() > 1]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--weights")
    arguments = arguments.parse_args()
    path = pathlib.Path(__file__).with_name("explain.json")
    before = json.loads(path.read_text()) if path.exists() else {}

    net = torchvision.models.mobilenet_v2().double().eval()
    head = lambda: net.classifier[1].weight.detach()
    trained = before.get("mobilenet_v2", {}).get("trained")
    if arguments.weights:
        net.load_state_dict(torch.load(arguments.weights, weights_only=True))
        trained = {"weights_sha256": hashlib.sha256(pathlib.Path(arguments.weights).read_bytes()).hexdigest(),
                   **look(net, head(), MOBILENET)}
    formula(net)
    mobilenet = {"kernels": kernels(net), "trained": trained, "formula": look(net, head(), MOBILENET)}

    inception = {}
    pool = f.avg_pool2d
    for conventions in ("torchvision", "keras"):
        counts = conventions == "torchvision"
        net = torchvision.models.inception_v3(weights=None, aux_logits=False, transform_input=False, init_weights=False)
        formula(net, scaled=counts)
        f.avg_pool2d = lambda t, **how: pool(t, **how, count_include_pad=counts)
        inception["kernels"] = kernels(net)
        inception[conventions] = look(net, net.fc.weight.detach(), INCEPTION)
        f.avg_pool2d = pool

    out = {"made_by": f"make_explain.py with torch {torch.__version__.split('+')[0]}, torchvision "
                      f"{torchvision.__version__.split('+')[0]}, float64",
           "mobilenet_v2": mobilenet, "inception_v3": inception}
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
