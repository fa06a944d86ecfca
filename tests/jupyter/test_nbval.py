"""`check` against nbval, on Python's own kernel: the Rust tests that other machines skip where they have no ipykernel."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["check_judges_each_cell_as_nbval_does", "pythons_kernel_runs_a_notebook"])
def test_agrees_with_nbval(name):
    command = ["cargo", "test", "--release", "-p", "candlewick-kernel", "--test", "other_kernels", "--", "--exact", name]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0 and "1 passed" in said and "skipped:" not in said, said[-4000:]
