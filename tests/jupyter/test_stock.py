"""The lesson on the stock kernel: what it says there is what it says on ours; only what is live there is lines here."""

import os
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
# How far a task has come, in the words of either kernel.
PROGRESS = re.compile(r"(\d+/[\d.]+ \w+  \d+ %|: \d+% of \d+ \w+)$")
# Stock evcxr compiles candle at its first start.
FIRST_CELL = 3600


def said(kernel, folder):
    """Runs the lesson on sketches to its end; the lines that each code cell has printed and shown."""
    lesson = nbformat.read(ROOT / "notebooks" / "cats_vs_dogs.ipynb", as_version=4)
    for cell in lesson.cells:
        cell.source = cell.source.replace('"../crate"', f'"{ROOT / "crate"}"')
    folder.mkdir()
    NotebookClient(lesson, kernel_name=kernel, timeout=FIRST_CELL, resources={"metadata": {"path": folder}}).execute()
    return [lines(cell.outputs) for cell in lesson.cells if cell.cell_type == "code"]


def lines(outputs):
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    each = (line.rstrip() for text in texts for line in text.splitlines())
    return [line for line in each if line and not PROGRESS.search(line)]


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("CANDLEWICK_DATA", "sketches")
    # What it compiles is kept from run to run. A cell looks for the standard library by a relative path, which comes out
    # wrong where both lie below one folder.
    monkeypatch.setenv("EVCXR_TMPDIR", str(Path(os.environ["JUPYTER_TESTS"]) / "stock"))
    libraries = subprocess.run(["rustc", "--print", "target-libdir"], capture_output=True, text=True, check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", libraries.stdout.strip())


def test_the_lesson_has_the_same_numbers_on_the_stock_kernel(environment, tmp_path):
    ours, theirs = said("candlewick", tmp_path / "ours"), said("candlewick-stock", tmp_path / "theirs")
    assert any("epoch 6/6" in line for cell in ours for line in cell), ours
    for number, (own, stock) in enumerate(zip(ours, theirs, strict=True), 1):
        assert own == stock, f"code cell {number}"
