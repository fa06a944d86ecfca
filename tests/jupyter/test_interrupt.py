"""Stopping: an interrupt, a restart, a shutdown, an error with cells behind it; and that work goes on after each."""

import json

import psutil
import pytest

from front_end import FrontEnd, wait_until, with_children

LISTENING = """
println!("listens");
while !candlewick::notebook::interrupted() {
    std::thread::sleep(std::time::Duration::from_millis(5));
}
println!("heard");
"""
SLEEPING = 'std::process::Command::new("sleep").arg("600").status()?;'
DEAF = """
println!("deaf");
loop {
    std::thread::sleep(std::time::Duration::from_millis(5));
}
"""
# One function, in whose type the compiler finds two for each of the last one's: seconds of rustc, nothing at run time.
SLOW_TO_COMPILE = "\n".join(
    ["fn d0() -> u64 { 1 }"]
    + [
        f"struct S{i}<A, B>(A, B); impl<A: Copy + Into<u64>, B: Copy + Into<u64>> S{i}<A, B> {{"
        f" fn f(&self) -> u64 {{ {' + '.join(f'(self.0.into() ^ {k})' for k in range(400))} + self.1.into() }} }}"
        for i in range(12)
    ]
    + [
        f"total += S{i}({j}u8, {j}u16).f() + S{i}({j}u32, {j}u8).f() + S{i}({j}u64, {j}u32).f();"
        if (i, j) != (0, 0)
        else "let mut total = d0();"
        for i in range(12)
        for j in range(12)
    ]
)


def started(process):
    """The names of the processes that a kernel has under way."""
    names = []
    for child in with_children(process)[1:]:
        try:
            names.append(child.name())
        except psutil.NoSuchProcess:
            pass
    return names


def compilers(process):
    """The rustc processes among them."""
    return [name for name in started(process) if name == "rustc"]


def test_a_loop_that_listens_stops_and_keeps_the_variables(kernel):
    kernel.good("let kept = vec![1, 2, 3];")
    cell = kernel.send(LISTENING)
    cell.until_printed("listens")
    kernel.interrupt()
    cell.end()
    assert cell.status == "error"
    assert cell.reply["ename"] == "interrupted"
    assert "variables are there" in cell.reply["evalue"]
    assert "heard" in cell.text
    assert kernel.run("kept.len()").value == "3"


def test_a_deaf_loop_is_killed_and_what_is_lost_is_named(kernel):
    kernel.good("let lost_one = 1;")
    kernel.good("fn still_defined() -> i32 { 5 }")
    cell = kernel.send(DEAF)
    cell.until_printed("deaf")
    kernel.interrupt()
    cell.end()
    assert (cell.status, cell.reply["ename"]) == ("error", "interrupted")
    assert "3 s" in cell.reply["evalue"]
    assert "`lost_one`" in cell.reply["evalue"]
    assert kernel.run("lost_one").status == "error"
    assert kernel.run("still_defined()").value == "5"


def test_a_compilation_is_stopped_and_nothing_is_lost(kernel):
    kernel.good("let kept = 4;")
    cell = kernel.send(SLOW_TO_COMPILE)
    wait_until(lambda: compilers(kernel.process), "a compiler runs")
    kernel.interrupt()
    cell.end()
    assert (cell.status, cell.reply["ename"]) == ("error", "interrupted"), cell.reply
    assert "nothing of it has run" in cell.reply["evalue"]
    assert kernel.run("kept").value == "4"
    assert not compilers(kernel.process)


def test_a_dependency_under_way_is_stopped_with_all_that_cargo_has_started(kernel, tmp_path):
    crate, begun = tmp_path / "endless", tmp_path / "begun"
    (crate / "src").mkdir(parents=True)
    (crate / "Cargo.toml").write_text('[package]\nname = "endless"\nversion = "1.0.0"\nedition = "2024"\n')
    (crate / "src" / "lib.rs").touch()
    # Its build script never ends.
    sleeps = "loop { std::thread::sleep(std::time::Duration::from_millis(50)) }"
    (crate / "build.rs").write_text(f'fn main() {{ std::fs::write({json.dumps(str(begun))}, "").unwrap(); {sleeps} }}')
    kernel.good("let kept = 6;")
    usual = len(started(kernel.process))
    cell = kernel.send(f":dep endless = {{ path = {json.dumps(str(crate))} }}")
    wait_until(begun.exists, "the build script runs")
    kernel.interrupt()
    cell.end()
    assert (cell.status, cell.reply["ename"]) == ("error", "interrupted"), cell.reply
    wait_until(lambda: len(started(kernel.process)) == usual, "cargo and the build script end")
    assert kernel.run("kept").value == "6"


def test_an_interrupt_while_nothing_runs_harms_nothing(kernel):
    kernel.good("let kept = 5;")
    kernel.interrupt()
    assert kernel.run("kept").value == "5"


def test_one_interrupt_stops_one_cell(kernel):
    """The next cell listens, too, and must not hear the interrupt of the one before."""
    cell = kernel.send(LISTENING)
    cell.until_printed("listens")
    kernel.interrupt()
    assert cell.end().status == "error"
    assert kernel.run("candlewick::notebook::interrupted()").value == "false"


@pytest.mark.parametrize("running", [False, True], ids=["idle", "in_a_cell"])
def test_a_restart_forgets_everything(kernel, running):
    kernel.good("let before = 1;")
    if running:
        kernel.send(DEAF).until_printed("deaf")
    old = with_children(kernel.process)
    assert len(old) > 1
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(timeout=60)
    psutil.wait_procs(old, timeout=10)
    assert not [p for p in old if p.is_running() and p.pid != kernel.process.pid]
    first = kernel.run("before")
    assert (first.status, first.reply["execution_count"]) == ("error", 1)
    assert kernel.run("1 + 1").value == "2"


@pytest.mark.parametrize(
    "cell", [None, DEAF, SLEEPING, SLOW_TO_COMPILE], ids=["idle", "in_a_cell", "in_what_a_cell_starts", "in_a_compilation"]
)
def test_a_shutdown_ends_every_process(cell):
    front_end = FrontEnd()
    front_end.good("let before = 1;")
    if cell == DEAF:
        front_end.send(cell).until_printed("deaf")
    elif cell == SLEEPING:
        front_end.send(cell)
        wait_until(lambda: "sleep" in started(front_end.process), "a cell starts a process")
    elif cell:
        front_end.send(cell)
        wait_until(lambda: compilers(front_end.process), "a compiler runs")
    assert front_end.stop() == []


def test_an_error_aborts_the_cells_behind_it(kernel):
    kernel.good("let mut ran: Vec<i32> = Vec::new();")
    queue = [kernel.send(code) for code in ["ran.push(1);", 'panic!("no");', "ran.push(2);", "ran.push(3);"]]
    assert [cell.end().status for cell in queue] == ["ok", "error", "aborted", "aborted"]
    assert kernel.run("ran.clone()").value == "[1]"


def test_without_stop_on_error_the_queue_goes_on(kernel):
    queue = [kernel.send(code, stop_on_error=False) for code in ['panic!("no");', "1 + 1"]]
    assert [cell.end().status for cell in queue] == ["error", "ok"]


def test_an_interrupt_aborts_the_queue(kernel):
    cells = [kernel.send(code) for code in [LISTENING, "1 + 1"]]
    cells[0].until_printed("listens")
    kernel.interrupt()
    assert [cell.end().status for cell in cells] == ["error", "aborted"]


def test_two_kernels_do_not_disturb_each_other(kernel):
    other = FrontEnd()
    try:
        kernel.good("let name = 1;")
        other.good('let name = "other";')
        looping = other.send(LISTENING)
        looping.until_printed("listens")
        kernel.good("let more = name + 1;")
        kernel.run('panic!("here");')
        kernel.interrupt()
        assert kernel.run("more").value == "2"
        assert not looping.idle
        other.interrupt()
        assert looping.end().status == "error"
        assert other.run("name").value == '"other"'
    finally:
        assert other.stop() == []
    assert kernel.run("name").value == "1"
