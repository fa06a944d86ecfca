"""The lesson on the stock kernel: what it says there is what it says on ours, live things apart."""

import os
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from front_end import KERNEL

ROOT = Path(__file__).parents[2]
# Colours, and what is counted while it happens: a progress bar on our kernel, whole lines on the stock one.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PROGRESS = re.compile(r"^.*(\d+/\d+ |\d+ of \d+ |\.\.\. ?)(photos|crates|MB|bytes).*$", re.MULTILINE)


def run(kernel, folder):
    """Runs the lesson on sketches to its end, and gives each code cell's texts."""
    lesson = nbformat.read(ROOT / "notebooks" / "cats_vs_dogs.ipynb", as_version=4)
    for cell in lesson.cells:
        cell.source = cell.source.replace('"../crate"', f'"{ROOT / "crate"}"')
    folder.mkdir()
    NotebookClient(lesson, kernel_name=kernel, timeout=3600, resources={"metadata": {"path": folder}}).execute()
    return [texts(cell.outputs) for cell in lesson.cells if cell.cell_type == "code"]


def texts(outputs):
    """The lines of what a cell has printed and shown, sorted: the stock kernel shows displays when the cell has ended."""
    pieces = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs]
    return COLOUR.sub("", "\n".join(pieces))


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("CANDLEWICK_DATA", "sketches")
    # What it compiles is kept from run to run; evcxr looks for the standard library beside it.
    monkeypatch.setenv("EVCXR_TMPDIR", str(Path(os.environ["JUPYTER_TESTS"]) / "stock"))
    libraries = subprocess.run(["rustc", "--print", "target-libdir"], capture_output=True, text=True, check=True).stdout
    monkeypatch.setenv("LD_LIBRARY_PATH", libraries.strip())


def test_the_lesson_has_the_same_numbers_on_the_stock_kernel(environment, tmp_path):
    ours, theirs = run("candlewick", tmp_path / "ours"), run("candlewick-stock", tmp_path / "theirs")
    (tmp_path / "ours.txt").write_text("\n=====\n".join(ours))
    (tmp_path / "theirs.txt").write_text("\n=====\n".join(theirs))
    assert ours == theirs
