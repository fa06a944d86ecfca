"""`kill -9` of the cells' process, of the kernel and of its front end, at random moments: nothing stays behind."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from front_end import PATIENCE, FrontEnd, alive, wait_until, with_children

SEED = 20
# Fifty in all.
ROUNDS = {"child": 17, "kernel": 17, "client": 16}
# What a kernel may be doing when it is hit; each goes on for longer than the longest wait.
CELLS = [
    "loop { std::thread::yield_now(); }",
    'loop { println!("x"); }',
    "fn f<T: Copy>(t: T) -> [T; 2] { [t, t] }\n" + "".join(f"let x{i} = f({i}.0);\n" for i in range(60)) + "loop {}",
    'let bar = candlewick::notebook::Progress::new("Reading", None, "photos"); loop { bar.advance(1); }',
    'std::process::Command::new("sleep").arg("600").status()?;',
]
CLIENT = """
import json, sys
from front_end import FrontEnd
front_end = FrontEnd()
front_end.good("let ready = 1;")
print(json.dumps(front_end.process.pid), flush=True)
cell = front_end.send(sys.argv[1])
cell.end()
"""


@pytest.fixture
def temporary(monkeypatch):
    """A folder for temporary files of the kernel's only. A socket's path is short, so it is not deep."""
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def sessions():
    return Path(os.environ["CANDLEWICK_CACHE"]) / "sessions"


def folders_left():
    return sorted(path.name for path in sessions().iterdir())


def locks_held():
    """The lock files of our cache that somebody holds. The compiled cells' are shared with all sessions of the user."""
    held = []
    for path in Path(os.environ["CANDLEWICK_CACHE"]).rglob("*.lock"):
        with open(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(str(path))
    return held


def gone(processes):
    """Waits until they have ended: they notice by themselves, within seconds."""
    wait_until(lambda: not alive(processes), f"all of {processes} end", 20)


def moment(dice):
    # Not synchronisation: the point is that nobody knows what happens then.
    time.sleep(dice.uniform(0, 0.8))


def kill_child(dice, cell):
    front_end = FrontEnd()
    front_end.good("let ready = 1;")
    children = with_children(front_end.process)[1:]
    assert children
    running = front_end.send(cell)
    moment(dice)
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
    running.end()
    assert running.status == "error", running.reply
    assert front_end.run("6 * 7").value == "42"
    assert front_end.run("ready").status == "error"
    processes = with_children(front_end.process)
    front_end.stop()
    gone(processes)


def kill_kernel(dice, cell):
    front_end = FrontEnd()
    front_end.good("let ready = 1;")
    front_end.send(cell)
    moment(dice)
    processes = with_children(front_end.process)
    assert len(processes) > 1
    os.kill(front_end.process.pid, signal.SIGKILL)
    front_end.manager.shutdown_kernel(now=True)
    front_end.client.stop_channels()
    gone(processes)


def kill_client(dice, cell):
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, cell], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
    )
    kernel = psutil.Process(json.loads(client.stdout.readline()))
    moment(dice)
    processes = with_children(kernel)
    assert len(processes) > 1
    client.kill()
    client.wait(timeout=PATIENCE)
    client.stdout.close()
    gone(processes)


@pytest.mark.parametrize("wait", [0, 0.3, 3])
def test_a_shutdown_removes_what_rust_analyzer_needs(wait, temporary):
    """It has a folder of its own, and reads for some seconds once it is asked. A cell does not wait for that."""
    front_end = FrontEnd()
    front_end.good("let ready = 1;")
    before = set(folders_left())
    front_end.client.inspect("candlewick::prelude::Dataset", 27)
    time.sleep(wait)
    assert front_end.run("ready + 1").value == "2"
    wait_until(lambda: len(set(folders_left()) - before) == 1, "rust-analyzer to have its folder")
    assert front_end.stop() == []
    assert folders_left() == []


KILLS = {"child": kill_child, "kernel": kill_kernel, "client": kill_client}


@pytest.mark.parametrize("victim", KILLS)
def test_nothing_stays_behind(victim, temporary):
    dice = random.Random(f"{SEED} {victim}")
    for _ in range(ROUNDS[victim]):
        KILLS[victim](dice, dice.choice(CELLS))
    # The next start removes what the dead could not.
    front_end = FrontEnd()
    front_end.good("let ready = 1;")
    assert len(folders_left()) == 1
    assert front_end.stop() == []
    assert folders_left() == []
    assert locks_held() == []
    # The connection files there are the front ends' own.
    assert [path.name for path in temporary.iterdir() if path.suffix != ".json"] == []
