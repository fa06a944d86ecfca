"""Writes the tables of the colour maps and the numbers they are tested by, with matplotlib.

  python make_colour_maps.py

../../src/plot/viridis.rgb and plasma.rgb hold 256 colours each, three bytes a colour: matplotlib's own tables (by Nathaniel
Smith, Stefan van der Walt and Eric Firing, released under CC0) in the bytes that it draws with.

colour_maps.txt beside this file holds what matplotlib answers to single values, jet included, and the CIE lightness of those
colours: name, value, red, green, blue, L*.
"""
import pathlib

import matplotlib
import numpy as np

here = pathlib.Path(__file__).parent


def colours(name, values):
    return matplotlib.colormaps[name](np.asarray(values, dtype=np.float64), bytes=True)[:, :3]


def lightness(rgb):
    """CIE 1976 L* of sRGB bytes, white point D65."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(luminance > (6 / 29) ** 3, 116 * np.cbrt(luminance) - 16, luminance * (29 / 3) ** 3)


for name in ["viridis", "plasma"]:
    table = here.parent.parent / "src" / "plot" / f"{name}.rgb"
    table.write_bytes(colours(name, (np.arange(256) + 0.5) / 256).tobytes())

# Off the centres of the table's steps, its ends, and beyond them. Single precision, as the crate's.
values = np.concatenate([np.linspace(0, 1, 200), [-0.5, -1e-6, 1e-6, 0.5, 0.999999, 1.000001, 7.0]]).astype(np.float32)
lines = [f"# name value red green blue lightness: matplotlib {matplotlib.__version__}, by make_colour_maps.py"]
for name in ["viridis", "plasma", "jet"]:
    rgb = colours(name, values)
    for value, (red, green, blue), light in zip(values, rgb, lightness(rgb)):
        lines.append(f"{name} {value!s} {red} {green} {blue} {light:.4f}")
(here / "colour_maps.txt").write_text("\n".join(lines) + "\n")
