"""Where the cache may lie: behind a link, and in somebody's workspace."""

import os
from pathlib import Path

from front_end import FrontEnd


def test_sessions_share_nothing_where_the_cache_is_behind_a_link(tmp_path):
    """Each must compile in a folder of its own, by whatever path the cache is reached."""
    cells = Path(os.environ["CANDLEWICK_CACHE"]) / "cells"
    (tmp_path / "cells").symlink_to(cells.resolve())
    before = set(cells.rglob("libcode_*"))
    environment = {**os.environ, "CANDLEWICK_CACHE": str(tmp_path)}
    kernels = [FrontEnd(env=environment) for _ in range(2)]
    try:
        for n, kernel in enumerate(kernels):
            kernel.good(f"let name = {n};")
        assert [kernel.run("name").value for kernel in kernels] == ["0", "1"]
        assert set(cells.rglob("libcode_*")) - before == set()
    finally:
        for kernel in kernels:
            kernel.stop()


def test_a_cache_inside_a_cargo_workspace_works(tmp_path):
    (tmp_path / "Cargo.toml").write_text("[workspace]\nmembers = []\n")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "cells").symlink_to((Path(os.environ["CANDLEWICK_CACHE"]) / "cells").resolve())
    kernel = FrontEnd(env={**os.environ, "CANDLEWICK_CACHE": str(cache)})
    try:
        assert kernel.good("6 * 7").value == "42"
    finally:
        kernel.stop()
