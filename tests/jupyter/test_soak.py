"""500 cells on one kernel: memory stays flat, and the disk's use is known and bounded."""

import json
import os
from pathlib import Path

from front_end import with_children

CELLS, WARM_UP = 500, 100
# Bytes by which each may grow after the warm-up. What a cell compiled to stays loaded in the cells' process, some 27 KB: its
# statics and threads may be in use. Every ninth cell shows a picture of 1 MB: a leak of those would be 44 MB.
MEMORY = {"kernel": 2 << 20, "cells": 16 << 20}
# What the session's folder may hold for each cell.
DISK = 1 << 20

KINDS = [
    'println!("cell {n}");',
    "let number = {n} * 2;",
    "number + 1",
    'let text_{m} = format!("{{}} of {{}}", {n}, 500);',
    "fn twice(x: i64) -> i64 {{ x * 2 + {m} - {m} }}\ntwice({n})",
    'candlewick::notebook::display::html("<b>{n}</b>", "{n}");',
    'for i in 0..2000 {{ println!("{{i}}"); }}',
    "let tensor = candlewick::prelude::Tensor::zeros((64, 64), candlewick::prelude::DType::F32, "
    "&candlewick::prelude::Device::Cpu)?;\ntensor.matmul(&tensor)?.sum_all()?.to_scalar::<f32>()?",
    # Noise, which no format makes smaller.
    "let noise = (0..600 * 600 * 3).map(|i: u32| ((i + {m}).wrapping_mul(2_654_435_761) >> 24) as u8).collect();\n"
    'candlewick::plot::photo(&candlewick::images::Pixels::new(600, 600, noise)?, "p")?',
]
FAILING = ['panic!("cell {n}");', "let wrong: i32 = \"{n}\";", '"x{n}".parse::<i32>()?;']


def resident(process):
    """Bytes of resident memory, as the system counts them."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"{process} has no resident memory")


def own_size(folder):
    """Bytes in a session's folder without what is linked from the template."""
    stats = [path.lstat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(stat.st_size for stat in stats if stat.st_nlink == 1)


def session_folder():
    folders = list((Path(os.environ["CANDLEWICK_CACHE"]) / "sessions").iterdir())
    assert len(folders) == 1, folders
    return folders[0]


def test_memory_is_flat_over_500_cells(kernel, outputs):
    seen = []
    for n in range(1, CELLS + 1):
        kinds = FAILING if n % 10 == 0 else KINDS
        cell = kernel.run(kinds[n % len(kinds)].format(n=n, m=n % 7))
        assert cell.status == ("error" if n % 10 == 0 else "ok"), (n, cell.reply)
        if n in (1, WARM_UP) or n % 50 == 0:
            processes = with_children(kernel.process)
            # The kernel, the cells' process, and the shell that ends with it what cells have started.
            assert len(processes) == 3, processes
            numbers = [resident(process) for process in processes[:2]]
            seen.append({"cell": n, "kernel": numbers[0], "cells": numbers[1], "disk": own_size(session_folder())})
            (outputs / "soak.json").write_text(json.dumps(seen, indent=1))
    at = {one["cell"]: one for one in seen}
    for name, most in MEMORY.items():
        growth = at[CELLS][name] - at[WARM_UP][name]
        assert growth < most, f"{name}: {growth} bytes after the warm-up; {seen}"
    assert at[CELLS]["disk"] - at[WARM_UP]["disk"] < DISK * (CELLS - WARM_UP), seen
