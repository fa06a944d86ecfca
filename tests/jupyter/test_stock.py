"""The lesson's notebooks on the stock evcxr kernel, output by output: only what is live is told in lines there."""

import os
import subprocess
from pathlib import Path

import nbformat
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("CANDLEWICK_PROGRAM", "target/release/candlewick")).absolute()
# What the stock kernel prints while something takes long, and of what that was when it is over.
PROGRESS = r"""
regex: (?m)^[A-Z][^\n:]*: \d+% of \d+ \w+\n
replace:

regex: (?m)^(Features|Inputs of [\w.]+) of \d+ photos: .* a second\)\.\n
replace:
"""


def in_lines(outputs):
    """What one of our cells showed, as the stock kernel shows it: epochs as printed lines, several pictures as one page."""
    pictures = [output["data"] for output in outputs if "image/svg+xml" in output.get("data", {})]
    if len(pictures) > 1:
        pages = {kind: "\n".join(picture[kind] for picture in pictures) for kind in ["text/plain", "text/html"]}
        pages["text/html"] = pages["text/html"].replace("/>\n<img", "/><br/><img")
        yield nbformat.v4.new_output("display_data", data=pages)
    for output in outputs:
        text = output.get("data", {}).get("text/plain", "")
        if text.startswith("epoch 1/"):
            yield nbformat.v4.new_output("stream", name="stdout", text=text + "\n")
        elif len(pictures) < 2 or "image/svg+xml" not in output.get("data", {}):
            yield output


@pytest.fixture(scope="module")
def environment():
    """Sketches; and one folder for all sessions, because the stock kernel compiles candle for minutes in each new one.

    Where that folder and the toolchain begin alike, the stock kernel does not find the standard library.
    """
    libraries = subprocess.run(["rustc", "--print", "target-libdir"], check=True, capture_output=True, text=True).stdout
    folder = Path(os.environ["CANDLEWICK_CACHE"]) / "stock"
    folder.mkdir(exist_ok=True)
    return {
        **os.environ,
        "CANDLEWICK_DATA": "sketches",
        "EVCXR_TMPDIR": str(folder),
        "LD_LIBRARY_PATH": libraries.strip(),
    }


@pytest.mark.parametrize("name", ["cats_vs_dogs", "flowers_solution", "inside_convnets"])
def test_a_notebook_shows_what_is_saved(name, tmp_path, environment):
    notebook = nbformat.read(REPOSITORY / "notebooks" / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace('"../crate"', f'"{REPOSITORY / "crate"}"')
        if cell.cell_type == "code":
            cell.outputs = list(in_lines(cell.outputs))
    path = tmp_path / f"{name}.ipynb"
    nbformat.write(notebook, path)
    (tmp_path / "sanitize.cfg").write_text(PROGRESS)
    command = [PROGRAM, "check", path, "--kernel", "candlewick-stock", "--sanitize-with", tmp_path / "sanitize.cfg"]
    # They were saved on a machine with AVX-512; elsewhere the last digits are others, and what counts is that all run.
    if "avx512f" not in Path("/proc/cpuinfo").read_text():
        command.append("--lax")
    checked = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
