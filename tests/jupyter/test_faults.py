"""A kernel whose surroundings go wrong."""

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
