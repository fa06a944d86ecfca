"""Writes tiny_legacy.pth and tiny_zip.pth: one state dict of a few exact numbers in both of PyTorch's containers.

  python make_tiny.py        (torch; any version writes the same numbers)
"""
import collections

import torch

base = torch.arange(12, dtype=torch.float32) / 4 - 1  # exact in f32
state = collections.OrderedDict()
state["plain"] = base.clone().reshape(3, 4)
state["transposed"] = base.clone().reshape(3, 4).t()  # strides (1, 4)
state["window"] = base.reshape(3, 4)[1:, 1:3]  # an offset, and rows apart
state["parameter"] = torch.nn.Parameter(torch.tensor([0.5, -2.0]))
state["shared"] = state["plain"]
state["half"] = torch.tensor([1.5, -0.25], dtype=torch.float16)
state["double"] = torch.tensor([[1e-3]], dtype=torch.float64)
state["norm.num_batches_tracked"] = torch.tensor(7)
state["not a tensor"] = 3
torch.save(state, "tiny_legacy.pth", _use_new_zipfile_serialization=False)
torch.save(state, "tiny_zip.pth")
