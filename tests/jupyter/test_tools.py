"""Jupyter's tools that run notebooks: they pass a good one, and fail where a cell fails."""

import json
import os
import subprocess

import nbformat
import pexpect
import pytest

from front_end import KERNEL, PATIENCE

FAILURES = {
    "panic": ('panic!("no photos");', "no photos"),
    "assert": ("assert_eq!(1 + 1, 3);", "left: 2"),
    "question_mark": ('let n: i32 = "seven".parse()?;', "invalid digit"),
    "compile_error": ('let n: i32 = "seven";', "E0308"),
}
failing = pytest.mark.parametrize("kind", FAILURES)
GOOD = ("let photos = 20;", 'println!("{photos} photos");\nphotos + 1')


def call(*command, **arguments):
    """Runs a tool; returns its end and all that it said."""
    arguments.setdefault("timeout", 10 * PATIENCE)
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **arguments)
    return ended.returncode, ended.stdout


def outputs_of(path):
    """What each cell of a notebook's file shows: its texts, and the names of its errors."""
    shown = []
    for cell in nbformat.read(path, as_version=4).cells:
        texts = [o.get("text") or o.get("ename") or o["data"]["text/plain"] for o in cell.outputs]
        shown.append([text.strip() for text in texts])
    return shown


def nbconvert(path):
    return call("jupyter", "nbconvert", "--execute", "--to", "notebook", "--output", "executed", str(path))


def papermill(path):
    return call("papermill", "--no-progress-bar", str(path), str(path.with_name("executed.ipynb")))


runners = pytest.mark.parametrize("runner", [nbconvert, papermill])


@runners
def test_a_good_notebook_runs_to_its_end(notebook, runner):
    path = notebook(*GOOD)
    code, said = runner(path)
    assert code == 0, said
    assert outputs_of(path.with_name("executed.ipynb")) == [[], ["20 photos", "21"]]


@runners
@failing
def test_a_failing_cell_fails_the_run_and_is_named(notebook, runner, kind):
    cell, words = FAILURES[kind]
    code, said = runner(notebook(*GOOD, cell, 'println!("never reached");'))
    assert code != 0, said
    assert words in said
    assert "never reached\n" not in said


def test_papermill_keeps_the_failed_notebook_with_its_error(notebook):
    path = notebook("panic!();", "let after = 1;")
    assert papermill(path)[0] != 0
    executed = nbformat.read(path.with_name("executed.ipynb"), as_version=4)
    kinds = [[o.output_type for o in cell.outputs] for cell in executed.cells if "panic!" in cell.source]
    assert kinds == [["error"]]


def saved(code, text=None):
    """A cell as saved after a run that printed `text`."""
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)] if text else []
    return nbformat.v4.new_code_cell(code, outputs=outputs, execution_count=1)


def nbval(path):
    """`pytest --nbval`, without the settings of these tests."""
    arguments = ["-p", "no:cacheprovider", "-c", os.devnull]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return call("python", "-m", "pytest", "--nbval", *arguments, str(path), cwd=path.parent, env=environment)


def test_nbval_passes_a_notebook_that_says_what_it_said(notebook):
    code, said = nbval(notebook(saved("let photos = 20;"), saved('println!("{photos} photos");', "20 photos\n")))
    assert code == 0, said
    assert "2 passed" in said


def test_nbval_fails_where_another_output_was_saved(notebook):
    code, said = nbval(notebook(saved('println!("20 photos");', "21 photos\n")))
    assert code == 1, said
    assert "1 failed" in said


@failing
def test_nbval_fails_where_a_cell_fails(notebook, kind):
    cell = saved(FAILURES[kind][0])
    # Only the failure itself counts, not what it prints.
    cell.metadata.tags = ["nbval-ignore-output"]
    code, said = nbval(notebook(saved("let photos = 20;"), cell))
    assert code == 1, said
    assert "1 failed, 1 passed" in said


def test_nbval_passes_a_failure_that_is_expected(notebook):
    cell = saved('panic!("no photos");')
    cell.metadata.tags = ["raises-exception", "nbval-ignore-output"]
    code, said = nbval(notebook(cell, saved('println!("on");', "on\n")))
    assert code == 0, said
    assert "2 passed" in said


@pytest.fixture
def console():
    """`jupyter console` with its simple prompt, as a person has it in a terminal."""
    command = f"jupyter console --kernel {KERNEL} --simple-prompt --ZMQTerminalInteractiveShell.kernel_timeout={PATIENCE}"
    environment = {**os.environ, "TERM": "dumb", "NO_COLOR": "1"}
    process = pexpect.spawn(command, env=environment, encoding="utf-8", timeout=PATIENCE, echo=False)
    process.expect_exact("In [1]: ")
    yield process
    process.close(force=True)


def test_the_console_shows_values_text_and_errors(console):
    for line, answer in [
        ("let photos = 20;", "In [2]: "),
        ("photos + 1", "Out[2]: 21"),
        ('println!("{photos} photos");', "20 photos"),
        ('panic!("no photos");', "no photos"),
        ("photos + 2", "22"),
    ]:
        console.sendline(line)
        console.expect_exact(answer)
    console.sendeof()
    console.expect_exact("exit ([y]/n)?")
    console.sendline("y")
    console.expect(pexpect.EOF)


@failing
def test_the_console_shows_each_failure(console, kind):
    cell, words = FAILURES[kind]
    console.sendline(cell)
    console.expect_exact(words)


def test_the_kernel_is_listed_with_its_language():
    code, said = call("jupyter", "kernelspec", "list", "--json")
    assert code == 0, said
    spec = json.loads(said)["kernelspecs"][KERNEL]["spec"]
    assert spec["language"].lower() == "rust"
