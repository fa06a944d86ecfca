"""What the tests share: the environment that `run` has made, a warm kernel, notebooks."""

import os
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

from front_end import KERNEL, FrontEnd


def pytest_configure():
    if "JUPYTER_TESTS" not in os.environ:
        pytest.exit("start these tests by tests/jupyter/run, which makes what they need", returncode=2)


@pytest.fixture(scope="session", autouse=True)
def compiled():
    """What cells import is compiled once, for minutes; the tests count on it."""
    manager, client = start_new_kernel(kernel_name=KERNEL)
    reply = client.execute_interactive("let warm = 1;", timeout=3600)
    client.stop_channels()
    manager.shutdown_kernel()
    assert reply["content"]["status"] == "ok", reply["content"]


@pytest.fixture(scope="session")
def outputs():
    """A folder for what people may want to look at."""
    folder = Path(os.environ["JUPYTER_TESTS"]) / "outputs"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def kernel():
    """A kernel for one test: what hangs in one must not hang the next."""
    front_end = FrontEnd()
    yield front_end
    front_end.stop()


@pytest.fixture
def notebook(tmp_path):
    """Writes a notebook of code cells, and says where."""

    def write(*cells, name="notebook.ipynb"):
        made = nbformat.v4.new_notebook()
        made.metadata.kernelspec = {"name": KERNEL, "display_name": KERNEL, "language": "rust"}
        made.cells = [nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
        path = tmp_path / name
        nbformat.write(made, path)
        return path

    return write
