"""Writes heat.txt: small maps, enlarged and shrunk by PyTorch's interpolate(mode="bilinear", align_corners=False).

  python make_heat.py
"""
import pathlib

import torch

torch.manual_seed(7)
lines = ["# height width to_height to_width: the map; what interpolate gives: by make_heat.py"]
for height, width, to_height, to_width in [(7, 7, 16, 13), (2, 3, 5, 9), (1, 1, 3, 2), (1, 4, 1, 11), (8, 8, 3, 5), (4, 4, 4, 4)]:
    grid = torch.rand(1, 1, height, width)
    large = torch.nn.functional.interpolate(grid, size=(to_height, to_width), mode="bilinear", align_corners=False)
    numbers = [" ".join(f"{value:.8g}" for value in tensor.flatten().tolist()) for tensor in (grid, large)]
    lines.append(f"{height} {width} {to_height} {to_width}: {numbers[0]}; {numbers[1]}")
pathlib.Path(__file__).with_name("heat.txt").write_text("\n".join(lines) + "\n")
