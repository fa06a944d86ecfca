"""Writes explain_kinks.json: the units of the trained MobileNetV2 that rounding may put on the other side of their kink.

  python make_explain_kinks.py --weights mobilenet_v2-b0353104.pth

Network and photo are those of make_explain.py, in double precision. By the name of the batch norm in front of each ReLU6,
each unit that comes within 1e-5 of 0 or of 6: its flat index, and its value. In single precision such a unit may come out
on the other side, and then all of its share of the gradient appears, or is gone.
"""
import argparse
import json
import pathlib

import torch
import torchvision

import make_explain


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--weights", required=True)
    net = torchvision.models.mobilenet_v2()
    net.load_state_dict(torch.load(arguments.parse_args().weights, weights_only=True))
    net, kinks = net.double().eval(), {}
    for name, module in net.named_modules():
        if isinstance(module, torchvision.ops.Conv2dNormActivation):
            def keep(_, inputs, name=name):
                values = inputs[0].detach().flatten()
                near = (torch.minimum(values.abs(), (values - 6).abs()) < 1e-5).nonzero().flatten().tolist()
                kinks[f"{name}.1"] = [[index, values[index].item()] for index in near]
            module[2].register_forward_pre_hook(keep)
    with torch.no_grad():
        net(make_explain.photo(224, 2.0))
    rows = ",\n".join(f" {json.dumps(name)}: {json.dumps(units)}" for name, units in kinks.items() if units)
    pathlib.Path(__file__).with_name("explain_kinks.json").write_text(f"{{\n{rows}\n}}\n")


main()
