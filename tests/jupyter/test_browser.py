"""JupyterLab in a browser, as a person has it: open, run all, look, interrupt, restart, complete."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import psutil
import pytest
from playwright.sync_api import sync_playwright

from front_end import KERNEL, PATIENCE, wait_until, with_children

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LESSON = Path(__file__).parents[2] / "notebooks" / "cats_vs_dogs.ipynb"
# Cells that are not in view stay in the page, and nothing asks about news.
SETTINGS = {
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
# Notes each state in which a progress bar is seen.
WATCH = """() => {
    window.bars = {};
    const look = () => document.querySelectorAll('.jp-OutputArea progress').forEach(bar => {
        const name = bar.closest('label').firstChild.textContent.trim();
        (window.bars[name] ??= new Set()).add(bar.value);
    });
    new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
}"""
# Notes each picture that is seen, and how many there are at once.
WATCH_PICTURES = """() => {
    window.pictures = new Set();
    window.most = 0;
    const look = () => {
        const seen = [...document.querySelectorAll('.jp-OutputArea img')];
        seen.forEach(image => window.pictures.add(image.src));
        window.most = Math.max(window.most, seen.length);
    };
    new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
}"""
CLIMBING = """use candlewick::prelude::*;
let network = MobileNetV2::pretrained()?.freeze()?;
network.some_filters("features.14", 4, FilterOptions { steps: 200, ..FilterOptions::default() })?"""
LISTENING = 'println!("listens"); while !candlewick::notebook::interrupted() { std::thread::yield_now(); }'

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no {CHROMIUM}")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab server over a folder with the lesson; its address with its token."""
    folder = tmp_path_factory.mktemp("lab")
    lesson = nbformat.read(LESSON, as_version=4)
    for cell in lesson.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # Without a kernel's name JupyterLab asks for one.
    lesson.metadata = {}
    nbformat.write(lesson, folder / "lesson.ipynb")
    for name in ["stopping.ipynb", "completing.ipynb", "climbing.ipynb"]:
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")]), folder / name)
    for name, setting in SETTINGS.items():
        path = folder / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(setting))
    environment = {
        **os.environ,
        "CANDLEWICK_DATA": "sketches",
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    arguments = ["--no-browser", "--ServerApp.ip=127.0.0.1", "--ServerApp.allow_root=True", "--LabApp.news_url="]
    with open(folder / "lab.log", "wb") as log:
        server = subprocess.Popen(
            ["jupyter", "lab", *arguments], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    started = folder / "runtime" / f"jpserver-{server.pid}.json"
    try:
        wait_until(started.exists, f"JupyterLab starts:\n{(folder / 'lab.log').read_text()}")
        about = json.loads(started.read_text())
        yield lambda path: f"{about['url']}lab/tree/{path}?reset&token={about['token']}"
    finally:
        processes = with_children(psutil.Process(server.pid))
        server.terminate()
        server.wait(timeout=PATIENCE)
        _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
        shutil.rmtree(folder / "runtime", ignore_errors=True)
        assert not alive


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


class Notebook:
    """One open notebook."""

    def __init__(self, page, outputs):
        self.page, self.outputs = page, outputs

    def choose_kernel(self, kernel):
        """Answers the dialog that asks for one."""
        dialog = self.page.locator(".jp-Dialog", has_text="Select Kernel")
        dialog.locator("select").select_option(label=kernel)
        dialog.locator(".jp-mod-accept").click()
        dialog.wait_for(state="detached")
        self.page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for()

    def menu(self, menu, entry):
        self.page.locator(".lm-MenuBar-item", has_text=menu).first.click()
        self.page.locator(".lm-Menu-item").filter(has_text=entry).first.click()

    def cells(self):
        return self.page.locator(".jp-Notebook .jp-CodeCell")

    def prompts(self):
        """What stands before each code cell: `[3]:`, or `[*]:` while it runs."""
        return [text.strip() for text in self.page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()]

    def wait_until_all_ran(self):
        done = "() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].every(p => /\\[\\d+\\]/.test(p.innerText))"
        self.page.wait_for_function(done, timeout=5 * PATIENCE * 1000)

    def write(self, code):
        """Puts code into the last cell in place of what it has."""
        cell = self.cells().last
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(code)
        return cell

    def code(self, cell):
        return "\n".join(cell.locator(".cm-line").all_text_contents())

    def press_tab_until(self, done):
        """As a person does: what knows the packages wakes at the first question, for seconds."""

        def pressed():
            self.page.keyboard.press("Tab")
            # JupyterLab waits so long for an answer.
            self.page.wait_for_timeout(1100)
            return done()

        wait_until(pressed, "completion")

    def picture(self, name):
        self.page.screenshot(path=self.outputs / f"lab-{name}.png")


@pytest.fixture
def open_notebook(lab, browser, outputs, request):
    pages = []

    def open_one(path):
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        pages.append(page)
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(lab(path))
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        notebook = Notebook(page, outputs)
        notebook.choose_kernel({"candlewick": "Rust (candlewick)"}.get(KERNEL, "Rust (stock evcxr)"))
        return notebook

    yield open_one
    for page in pages:
        # Where the test has failed, this says why.
        page.screenshot(path=outputs / f"lab-end-of-{request.node.name}.png")
        page.close()


def test_the_lesson_runs_with_pictures_and_bars_that_move(open_notebook):
    notebook = open_notebook("lesson.ipynb")
    notebook.page.evaluate(WATCH)
    notebook.menu("Run", "Run All Cells")
    notebook.wait_until_all_ran()
    count = notebook.cells().count()
    assert notebook.prompts() == [f"[{i}]:" for i in range(1, count + 1)]
    errors = notebook.page.locator("[data-mime-type='application/vnd.jupyter.error']")
    assert errors.all_text_contents() == []
    widths = notebook.page.eval_on_selector_all(".jp-OutputArea img", "images => images.map(i => i.naturalWidth)")
    assert len(widths) >= 5 and all(width > 0 for width in widths), widths
    bars = notebook.page.evaluate("() => Object.entries(window.bars).map(([name, seen]) => [name, seen.size])")
    assert any(states >= 3 for _, states in bars), bars
    # Rust is coloured as Rust: JupyterLab knows the language from the kernel.
    colours = "() => new Set([...document.querySelectorAll('.jp-CodeCell .cm-line span')].map(s => getComputedStyle(s).color)).size"
    assert notebook.page.evaluate(colours) >= 3
    for i in range(count):
        cell = notebook.cells().nth(i)
        cell.scroll_into_view_if_needed()
        cell.screenshot(path=notebook.outputs / f"lab-lesson-{i + 1:02}.png")


def test_filters_climb_in_one_place(open_notebook):
    notebook = open_notebook("climbing.ipynb")
    notebook.page.evaluate(WATCH_PICTURES)
    notebook.write(CLIMBING)
    notebook.page.keyboard.press("Control+Enter")
    notebook.page.wait_for_function("() => window.pictures.size >= 3", timeout=PATIENCE * 1000)
    assert notebook.prompts() == ["[*]:"]
    notebook.picture("climbing")
    notebook.wait_until_all_ran()
    notebook.picture("climbed")
    assert notebook.page.evaluate("() => window.most") == 1


def test_a_loop_is_interrupted_and_the_kernel_restarted(open_notebook):
    notebook = open_notebook("stopping.ipynb")
    notebook.write("let kept = 7;")
    notebook.page.keyboard.press("Shift+Enter")
    notebook.write(LISTENING)
    notebook.page.keyboard.press("Control+Enter")
    looping = notebook.cells().nth(1)
    looping.locator(".jp-OutputArea-output", has_text="listens").wait_for()
    notebook.menu("Kernel", "Interrupt Kernel")
    looping.locator(".jp-OutputArea-output", has_text="interrupted").wait_for()
    notebook.picture("interrupted")
    notebook.write("kept + 1")
    notebook.page.keyboard.press("Control+Enter")
    looping.locator(".jp-OutputArea-executeResult", has_text="8").wait_for()

    notebook.menu("Kernel", "Restart Kernel…")
    notebook.page.locator(".jp-Dialog .jp-mod-accept").click()
    notebook.page.locator(".jp-Dialog").wait_for(state="detached")
    notebook.write("kept + 2")
    notebook.page.keyboard.press("Control+Enter")
    looping.locator(".jp-OutputArea-output", has_text="E0425").wait_for()
    notebook.picture("restarted")
    assert notebook.prompts()[1] == "[1]:"


def test_candlewick_lab_opens_with_its_kernel(browser, outputs, tmp_path):
    """The command itself, from its first line to a cell's value; the address is the one that it prints."""
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")]), tmp_path / "mine.ipynb")
    environment = {**os.environ, "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    more = ["--ServerApp.ip=127.0.0.1", "--ServerApp.allow_root=True", "--LabApp.news_url="]
    log = tmp_path / "lab.log"
    with open(log, "wb") as said:
        command = [os.environ["CANDLEWICK_PROGRAM"], "lab", str(tmp_path), "--no-browser", "--", *more]
        server = subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT)
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(PATIENCE * 1000)
    try:
        found = lambda: re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", log.read_text())
        wait_until(found, "the address")
        page.goto(found()[0].replace("/lab?", "/lab/tree/mine.ipynb?reset&"))
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        notebook = Notebook(page, outputs)
        notebook.choose_kernel("Rust (candlewick)")
        notebook.write("6 * 7")
        page.keyboard.press("Shift+Enter")
        notebook.cells().first.locator(".jp-OutputArea-executeResult", has_text="42").wait_for()
        notebook.picture("candlewick-lab")
    finally:
        page.close()
        processes = with_children(psutil.Process(server.pid))
        server.terminate()
        server.wait(timeout=PATIENCE)
        _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
        assert not alive, log.read_text()


def test_tab_completes(open_notebook):
    notebook = open_notebook("completing.ipynb")
    notebook.write("let device_of_mine = candlewick::prelude::Device::Cpu;")
    notebook.page.keyboard.press("Shift+Enter")
    notebook.page.locator(".jp-InputPrompt", has_text="[1]:").wait_for()
    cell = notebook.write("device_of")
    notebook.press_tab_until(lambda: notebook.code(cell) == "device_of_mine")

    notebook.write("device_of_mine.is_")
    entry = notebook.page.locator(".jp-Completer-item", has_text="is_cpu").first
    notebook.press_tab_until(entry.is_visible)
    notebook.picture("completing")
    entry.click()
    assert notebook.code(cell).startswith("device_of_mine.is_cpu")
