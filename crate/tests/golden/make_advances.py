"""Writes dejavu_sans_advances.json: how wide each printable ASCII letter and the ellipsis are in DejaVu Sans.

  python make_advances.py /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf

In units of the font size. DejaVu Sans is, with Verdana, the widest sans-serif font in common use.
"""
import json
import pathlib
import sys

from fontTools.ttLib import TTFont

font = TTFont(sys.argv[1])
letters = [chr(code) for code in range(32, 127)] + ["…"]
glyphs, em = font.getBestCmap(), font["head"].unitsPerEm
advances = {letter: round(font["hmtx"][glyphs[ord(letter)]][0] / em, 4) for letter in letters}
out = pathlib.Path(__file__).with_name("dejavu_sans_advances.json")
out.write_text(json.dumps(advances, ensure_ascii=False, indent=0) + "\n")
