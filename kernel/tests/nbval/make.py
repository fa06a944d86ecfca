"""Makes cells.ipynb, and verdicts.json: what nbval says of each of its cells.

    pip install nbval==0.11.0 ipykernel pytest && python make.py
"""

import json
import pathlib
import re
import subprocess
import sys

here = pathlib.Path(__file__).parent


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def result(text):
    return {"output_type": "execute_result", "data": {"text/plain": text}, "metadata": {}, "execution_count": 9}


def display(**data):
    data = {kind.replace("_", "/"): text for kind, text in data.items()}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def error(name, value):
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": ["old"]}


def cell(source, outputs, *tags, count=3):
    return {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source, "outputs": outputs,
            "execution_count": count}


def bold(text):
    return display(text_html=f"<b>{text}</b>", text_plain="<IPython.core.display.HTML object>")


cells = [
    cell("print(1)", [stream("1\n")]),
    cell("print(2)", [stream("3\n")]),
    cell("print(2)", []),
    cell("2", [result("2")]),
    cell("2", [result("3")]),
    cell("2", [display(text_plain="2")]),
    cell("x = 1", [stream("gone\n")]),
    cell("1 / 0", [error("ZeroDivisionError", "division by zero")], "raises-exception"),
    cell("1 / 0", [error("ZeroDivisionError", "other")], "nbval-raises-exception"),
    cell("1 / 0", [error("ZeroDivisionError", "division by zero")]),
    cell("x = 1", [], "raises-exception"),
    cell("print(5)", [stream("6\n")], "nbval-ignore-output"),
    cell("print(5)", [stream("6\n")], "nbval-skip"),
    cell("# NBVAL_IGNORE_OUTPUT\nprint(5)", [stream("6\n")]),
    cell("# NBVAL_CHECK_OUTPUT\nprint(5)", [stream("6\n")], "nbval-ignore-output"),
    cell("print(7)", [], count=None),
    cell("import sys\nprint('a'); print('b', file=sys.stderr); print('c')", [stream("b\n", "stderr"), stream("a\nc\n")]),
    cell("print('10 %\\r20 %', end='')", [stream("20 %")]),
    cell("from IPython.display import HTML, display\ndisplay(HTML('<b>1</b>'))", [bold(2)]),
    cell("display(HTML('<b>1</b>')); display(HTML('<b>2</b>'))", [bold(1), bold(2)]),
    cell("display(1); print(2); display(3)", [display(text_plain="1"), display(text_plain="3"), stream("2\n")]),
    cell("print(8)", [stream("9\n")], "nbval-check-output", "nbval-ignore-output"),
    cell("print(8)", [stream("9\n")], "nbval-ignore-output", "nbval-check-output"),
    cell("print('at 12:30:01')", [stream("at 10:00:00\n")]),
]
metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": metadata, "cells": cells}
(here / "cells.ipynb").write_text(json.dumps(notebook, indent=1) + "\n")

verdicts = {}
for how, flag in [("strict", "--nbval"), ("lax", "--nbval-lax")]:
    command = [sys.executable, "-m", "pytest", "-q", "-rA", flag, "--nbval-sanitize-with", "sanitize.cfg"]
    command += ["-p", "no:cacheprovider", "cells.ipynb"]
    said = subprocess.run(command, cwd=here, capture_output=True, text=True).stdout
    found = {int(n): word for word, n in re.findall(r"^(PASSED|FAILED) .*Cell (\d+)", said, re.M)}
    # pytest sums up what was skipped without its name.
    verdicts[how] = [found.get(n, "SKIPPED") for n in range(len(cells))]
(here / "verdicts.json").write_text(json.dumps(verdicts, indent=1) + "\n")
