"""A front end that reads like the protocol: starts a kernel, runs cells, keeps what they say."""

import os
import time
from dataclasses import dataclass, field

import psutil
from jupyter_client.manager import KernelManager

KERNEL = os.environ.get("CANDLEWICK_TEST_KERNEL", "candlewick")
# Generous: a busy machine must not fail a test, and a hang must end it.
PATIENCE = 60


def text_of(messages, name="stdout"):
    """What messages of kind `stream` printed."""
    streams = (m["content"] for m in messages if m["msg_type"] == "stream")
    return "".join(content["text"] for content in streams if content["name"] == name)


@dataclass
class Cell:
    """A cell that has been sent; what it says is read as the test asks."""

    front_end: "FrontEnd"
    request: str
    messages: list = field(default_factory=list)
    reply: dict = None
    idle: bool = False

    def next(self):
        """The next message of this cell; none when it is over."""
        while not self.idle:
            message = self.front_end.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != self.request:
                continue
            if message["msg_type"] == "status":
                self.idle = message["content"]["execution_state"] == "idle"
            elif message["msg_type"] != "execute_input":
                self.messages.append(message)
                return message
        return None

    def until(self, wanted):
        """Reads up to the first message for which `wanted` holds."""
        while (message := self.next()) is not None:
            if wanted(message):
                return message
        raise AssertionError(f"the cell ended without it: {self.messages}")

    def until_printed(self, text):
        """Reads until `text` has been printed."""
        return self.until(lambda _: text in text_of(self.messages))

    def end(self):
        """Reads all that is left, and the reply."""
        while self.next() is not None:
            pass
        while self.reply is None:
            reply = self.front_end.client.get_shell_msg(timeout=PATIENCE)
            self.front_end.replies[reply["parent_header"]["msg_id"]] = reply["content"]
            self.reply = self.front_end.replies.get(self.request)
        return self

    @property
    def status(self):
        return self.reply["status"]

    @property
    def text(self):
        return text_of(self.messages)

    def of(self, kind):
        """The contents of its messages of one kind."""
        return [m["content"] for m in self.messages if m["msg_type"] == kind]

    @property
    def value(self):
        """The text of the value in which it ended."""
        return self.of("execute_result")[-1]["data"]["text/plain"]


class FrontEnd:
    """One kernel and its only client."""

    def __init__(self, **arguments):
        self.manager = KernelManager(kernel_name=KERNEL)
        self.manager.start_kernel(**arguments)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)
        self.replies = {}

    @property
    def process(self):
        return psutil.Process(self.manager.provisioner.pid)

    def send(self, code, **arguments):
        """Sends a cell and does not wait."""
        arguments.setdefault("allow_stdin", False)
        return Cell(self, self.client.execute(code, **arguments))

    def run(self, code, **arguments):
        """Runs a cell to its end."""
        cell = self.send(code, **arguments).end()
        # A cell's reply may be read while another one is waited for.
        self.replies.pop(cell.request, None)
        return cell

    def good(self, code):
        """Runs a cell that must succeed."""
        cell = self.run(code)
        assert cell.status == "ok", cell.reply
        return cell

    def interrupt(self):
        """Asks on the control channel, and waits until the kernel has heard: what is sent next is not interrupted."""
        channel = self.client.control_channel
        channel.send(self.client.session.msg("interrupt_request", {}))
        reply = channel.get_msg(timeout=PATIENCE)
        assert (reply["msg_type"], reply["content"]["status"]) == ("interrupt_reply", "ok")

    def stop(self):
        """Shuts the kernel down as a front end does; returns its processes that are still there then."""
        processes = with_children(self.process)
        self.client.stop_channels()
        self.manager.shutdown_kernel()
        return alive(processes)


def with_children(process):
    """A process and all that it has started, as far as they are there."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def alive(processes):
    """Those that have not ended."""
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def wait_until(holds, what, seconds=PATIENCE):
    """Waits for what no event tells."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)
