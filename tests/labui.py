"""A JupyterLab as make lab starts it, and what a person does there: open a notebook, run it, use the menus."""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import nbformat

from conftest import ROOT

TOKEN = "browser-test"
BASE = "/user/x/"  # as on a hub: nothing may assume / or a port
SHOTS = ROOT / "out" / "screenshots"


class Server:
    """A running JupyterLab: its address, and a few calls of its interface."""

    def __init__(self, address):
        self.address, self.changed = address, set()

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"{self.address}/{path}", method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": f"token {TOKEN}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def set(self, plugin, **settings):
        """Settings of a plugin as the user would have changed them; none to go back."""
        self.changed.add(plugin)
        self.ask("PUT", "lab/api/settings/" + urllib.parse.quote(plugin, safe=""), {"raw": json.dumps(settings)})

    def theme(self, name):
        self.set("@jupyterlab/apputils-extension:themes", theme=f"JupyterLab {name}")

    def reset(self):
        for plugin in list(self.changed):
            self.set(plugin)
        self.changed.clear()

    def end_sessions(self):
        """Shuts all kernels down, and their engines with them: the next test has the machine to itself."""
        for s in self.ask("GET", "api/sessions"):
            self.ask("DELETE", "api/sessions/" + s["id"])


@contextlib.contextmanager
def running(log, base=BASE):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k not in ("CLT_KEEP_GOING", "CLT_GONB_FLAGS")}
    environment["JUPYTERLAB_SETTINGS_DIR"] = f"{log}.settings"  # not the user's own: a test chooses the dark theme
    environment["JUPYTERLAB_WORKSPACES_DIR"] = f"{log}.workspaces"
    with open(log, "w") as out:
        process = subprocess.Popen([ROOT / "scripts" / "lab.sh", "--no-browser", f"--ServerApp.port={port}", f"--ServerApp.base_url={base}",
                                    f"--IdentityProvider.token={TOKEN}"], cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
        server = Server(f"http://127.0.0.1:{port}{base.rstrip('/')}")
        try:
            end = time.monotonic() + 120
            while True:
                try:
                    server.ask("GET", "api")
                    break
                except OSError:
                    said = pathlib.Path(log).read_text()[-2000:]
                    assert process.poll() is None, said
                    assert time.monotonic() < end, "JupyterLab did not start: " + said
                    time.sleep(0.1)
            yield server
        finally:
            process.terminate()
            process.wait(30)


def notebook(path, cells):
    """Writes a notebook: a text is a code cell, one with md: before it Markdown, a cell as it is."""
    nb = nbformat.v4.new_notebook()
    nb.metadata["kernelspec"] = {"name": "gonb", "display_name": "Go (gonb)", "language": "go"}
    new = lambda c: nbformat.v4.new_markdown_cell(c[3:]) if c.startswith("md:") else nbformat.v4.new_code_cell(c)  # noqa: E731
    nb.cells = [new(c) if isinstance(c, str) else c for c in cells]
    for i, c in enumerate(nb.cells):
        c["id"] = f"cell-{i}"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)
    return path


def break_signature(path):
    """Another source, so that JupyterLab does not trust the outputs: what a fresh clone looks like."""
    nb = json.loads(path.read_text())
    nb["cells"][0]["source"] = ["# copy\n"] + list(nb["cells"][0]["source"])
    path.write_text(json.dumps(nb))


def watch(page):
    """Records requests to other machines, errors of the console, dialogs."""
    page.outside, page.errors, page.seen = [], [], []
    page.on("request", lambda r: page.seen.append(r.url))
    page.on("request", lambda r: r.url.startswith(("http://127.0.0.1", "data:", "blob:", "about:", "file:")) or page.outside.append(r.url))
    page.on("console", lambda m: m.type == "error" and page.errors.append(m.text[:200]))
    page.on("pageerror", lambda e: page.errors.append(str(e)[:200]))
    return page


def open_notebook(page, server, path, workspace="", tabs=1):
    """Opens a notebook and waits until it has its kernel: before that, Run All does nothing and says nothing."""
    name = str(path.relative_to(ROOT))
    page.goto(f"{server.address}/lab/{workspace}tree/{urllib.parse.quote(name)}?token={TOKEN}&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=180_000)
    end = time.monotonic() + 120
    while sum(s["kernel"]["connections"] for s in server.ask("GET", "api/sessions") if s["path"] == name) < tabs:
        assert time.monotonic() < end, f"{name} got no kernel"
        page.wait_for_timeout(100)
    page.wait_for_timeout(500)


def menu(page, *entries):
    """Chooses from the menu bar; all but the last entry open a menu."""
    page.click(f".lm-MenuBar-item:has-text('{entries[0]}')")
    for e in entries[1:-1]:
        page.hover(f".lm-Menu-item:has-text('{e}') >> nth=0")
    page.locator(".lm-Menu-item").filter(has_text=re.compile(rf"^\W*{re.escape(entries[-1])}")).first.click()


def run_all(page):
    menu(page, "Run", "Run All Cells")


def wait_all_run(page, n, timeout=300_000):
    """Waits until n cells have a number: the first cell after a change builds the engine."""
    page.wait_for_function(
        "n => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].filter(e => /\\[\\d+\\]/.test(e.textContent)).length >= n",
        arg=n, timeout=timeout)


def save(page):
    """Saves by the keys, as most people do; a notebook whose tab stays dirty did not hear them."""
    page.keyboard.press("Control+s")
    page.wait_for_function("() => !document.querySelector('.lm-DockPanel-tabBar .jp-mod-dirty')", timeout=15_000)


def scroll_through(page, direction=1, steps=60, by=600, pause=20):
    page.hover(".jp-Notebook")
    for _ in range(steps):  # cells are drawn when they come into view
        page.mouse.wheel(0, direction * by)
        page.wait_for_timeout(pause)


def graph_frame(page, nth=0):
    """The frame of a graph, when it is alive."""
    f = page.locator(".clt-graph iframe.clt-frame").nth(nth)
    f.wait_for(state="attached", timeout=60_000)
    page.wait_for_function("n => { const f = document.querySelectorAll('.clt-graph iframe.clt-frame')[n]; return f && f.offsetHeight > 150 }", arg=nth, timeout=30_000)
    return f.content_frame
