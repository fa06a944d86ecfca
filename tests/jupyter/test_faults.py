"""Faults of the kernel's own parts, and of what is around it: told, and survived."""

import os

import pytest

from front_end import FrontEnd


@pytest.fixture
def unheard():
    """A kernel whose standard error nobody reads any more, as when what has started it is gone."""
    read, write = os.pipe()
    front_end = FrontEnd(stderr=write)
    os.close(write)
    os.close(read)
    yield front_end
    front_end.stop()


def test_a_message_that_is_dropped_ends_nothing_where_the_log_is_closed(unheard):
    socket = unheard.client.shell_channel.socket
    for frames in [[b"<IDS|MSG>", b"forged", b"{}", b"{}", b"{}", b"{}"], [b"no delimiter"], [b"<IDS|MSG>"]]:
        socket.send_multipart(frames)
    assert unheard.run("6 * 7").value == "42"


def test_a_panic_of_evcxr_itself_is_told_with_what_is_lost_and_the_session_goes_on(unheard, tmp_path):
    """evcxr repeats on standard error which crates cargo compiles, and panics where that is closed."""
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "tiny"\nversion = "1.0.0"\nedition = "2024"\n')
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "lib.rs").write_text("pub fn one() -> i32 { 1 }")
    unheard.good("let lost = 1;\nfn defined() -> i32 { 2 }")
    cell = unheard.run(f':dep tiny = {{ path = "{tmp_path}" }}')
    assert cell.status == "error"
    assert "evcxr itself has panicked" in cell.reply["evalue"] and "are gone" in cell.reply["evalue"]
    assert len(cell.of("error")) == 1
    assert unheard.run("lost").status == "error"
    unheard.good("let again = 3;")
    assert unheard.run("again + 1").value == "4"
