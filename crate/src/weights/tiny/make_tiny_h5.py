"""Writes tiny.h5 and two files that are refused: a few exact numbers as h5py lays them out by default.

  python make_tiny_h5.py        (h5py; any version writes the same numbers)
"""
import h5py
import numpy as np

base = np.arange(12, dtype=np.float32) / 4 - 1  # exact in f32
with h5py.File("tiny.h5", "w") as f:
    f.attrs["layer_names"] = ["conv2d", "dense"]
    group = f.create_group("model_weights")
    for index in range(12):  # more than fit in one node of symbols
        group.create_dataset(f"conv2d_{index}/conv2d_{index}/bias:0", data=np.float32([index, -index]))
    group["conv2d/conv2d/kernel:0"] = base.reshape(3, 1, 4)
    group["half"] = np.float16([1.5, -0.25])
    group["double"] = np.array([[1e-3]])
    group["scalar"] = np.float32(7)
    group["iterations"] = np.int64(7)
    group["words"] = "not a tensor"
    group["link"] = h5py.SoftLink("/model_weights/half")
with h5py.File("tiny_chunked.h5", "w") as f:
    f.create_dataset("packed", data=base, chunks=(4,), compression="gzip")
with h5py.File("tiny_latest.h5", "w", libver="latest") as f:
    f["new"] = base
