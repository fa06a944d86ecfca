"""Writes resize.txt: a synthetic image, shrunk and enlarged by Pillow's BILINEAR.  python make_resize.py (pillow 13.0.0)"""
import os

from PIL import Image

# From height, width to height, width: shrunk a little and a lot, enlarged, squashed, one side kept.
SIZES = [(64, 48, 16, 16), (97, 61, 13, 11), (9, 7, 21, 16), (50, 20, 12, 30), (40, 33, 40, 9), (224, 224, 7, 7), (3, 300, 5, 8)]


def gradient(height, width):
    image = Image.new("RGB", (width, height))
    image.putdata([(255 * x // (width - 1), 255 * y // (height - 1), x * y % 256) for y in range(height) for x in range(width)])
    return image


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "resize.txt"), "w") as out:
    out.write("# height width to_height to_width: RGB bytes of the resized image, by make_resize.py\n")
    for height, width, to_height, to_width in SIZES:
        resized = gradient(height, width).resize((to_width, to_height), Image.Resampling.BILINEAR)
        out.write(f"{height} {width} {to_height} {to_width}: {resized.tobytes().hex()}\n")
