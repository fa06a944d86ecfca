"""Writes cmyk.jpg, a drawn CMYK JPEG of four colours, and prints what Pillow reads from it.  python make_cmyk.py (pillow 13.0.0)"""
import os

from PIL import Image

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cmyk.jpg")
image = Image.new("CMYK", (32, 32))
for left, top, ink in [(0, 0, (0, 0, 0, 0)), (16, 0, (255, 0, 0, 0)), (0, 16, (0, 200, 255, 0)), (16, 16, (40, 0, 90, 128))]:
    image.paste(ink, (left, top, left + 16, top + 16))
image.save(path, quality=95, subsampling=0)
read = Image.open(path).convert("RGB")
print([read.getpixel(at) for at in [(8, 8), (24, 8), (8, 24), (24, 24)]])
