"""What a person sees in JupyterLab and in a report, with a real browser."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

from conftest import LAB, ROOT, lab_cell

TOKEN = "browser-test"
SHOTS = ROOT / "out" / "screenshots"


def notebook(path, cells):
    nb = nbformat.v4.new_notebook()
    nb.metadata["kernelspec"] = {"name": "gonb", "display_name": "Go (gonb)", "language": "go"}
    nb.cells = [nbformat.v4.new_markdown_cell(c[3:]) if c.startswith("md:") else nbformat.v4.new_code_cell(c) for c in cells]
    for i, c in enumerate(nb.cells):
        c["id"] = f"cell-{i}"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)
    return path


@pytest.fixture(scope="module")
def folder():
    path = ROOT / "out" / "browser test"  # with a space, and ignored by git
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    SHOTS.mkdir(parents=True, exist_ok=True)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def lab(chromium, folder):
    """The address of a running JupyterLab, started as make lab does."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = open(folder / "lab.log", "w")
    environment = {k: v for k, v in os.environ.items() if k not in ("CLT_KEEP_GOING", "CLT_GONB_FLAGS")}
    server = subprocess.Popen([ROOT / "scripts" / "lab.sh", "--no-browser", f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}"],
                              cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{base}/api?token={TOKEN}", timeout=2)
                break
            except OSError:
                assert server.poll() is None, (folder / "lab.log").read_text()[-2000:]
                time.sleep(0.25)
        else:
            pytest.fail("JupyterLab did not start")
        yield base
    finally:
        server.terminate()
        server.wait(30)
        log.close()


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield b
        b.close()


@pytest.fixture
def page(browser):
    """A page that records requests to other machines and errors of the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.outside, page.errors = [], []
    page.on("request", lambda r: r.url.startswith(("http://127.0.0.1", "data:", "blob:", "about:", "file:")) or page.outside.append(r.url))
    page.on("console", lambda m: m.type == "error" and page.errors.append(m.text[:200]))
    page.on("pageerror", lambda e: page.errors.append(str(e)[:200]))
    yield page
    context.close()


def open_notebook(page, base, path):
    page.goto(f"{base}/lab/tree/{path.relative_to(ROOT)}?token={TOKEN}&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    page.wait_for_timeout(1000)


def run_all(page):
    page.click("text=Run >> nth=0")
    page.click("li[data-command='runmenu:run-all'], .lm-Menu-item:has-text('Run All Cells')")


def wait_all_run(page, n):
    page.wait_for_function(
        "n => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].filter(e => /\\[\\d+\\]/.test(e.textContent)).length >= n",
        arg=n, timeout=120_000)


def test_run_all_shows_progress_and_results(lab, page, folder):
    path = notebook(folder / "run.ipynb", [
        "md:# Run\n\n$a_i$",
        lab_cell("s := lab.Open()\nfmt.Println(s.SelfTest(150, 20))"),
        f'import (\n "{LAB}"\n "github.com/etredal/cross-layer-transcoder/viz"\n)\n%%\n'
        'lab.Show(viz.Table("Numbers", []string{"a", "b"}, [][]string{{"1", "<script>2</script>"}}))',
        lab_cell('lab.Check(true, "rows add up", "1e-7")'),
    ])
    open_notebook(page, lab, path)
    assert page.locator("text=Would you like to get notified").count() == 0, "JupyterLab asks about news"
    page.wait_for_selector(".jp-Toolbar-kernelName:has-text('Go (gonb)')", timeout=30_000)
    run_all(page)
    page.wait_for_function("() => document.querySelector('progress')", timeout=60_000)
    page.screenshot(path=SHOTS / "progress.png")
    seen = set()
    for _ in range(8):  # it is drawn anew four times a second
        seen.update(page.evaluate("[...document.querySelectorAll('progress')].map(e => e.value)"))
        page.wait_for_timeout(200)
    assert len(seen) >= 3, f"the bar does not move: {seen}"
    wait_all_run(page, 3)
    page.wait_for_timeout(500)
    assert page.locator("progress").count() == 0, "the bar stays after the call"
    text = page.inner_text(".jp-Notebook")
    assert "selftest: 150 steps" in text and "rows add up" in text and "<script>2</script>" in text
    page.screenshot(path=SHOTS / "run-all.png")
    page.keyboard.press("Escape")
    page.click(".jp-MarkdownCell >> nth=0")
    page.keyboard.press("Control+s")
    page.wait_for_timeout(2000)
    saved = json.loads(path.read_text())
    kept = [o for c in saved["cells"] for o in c.get("outputs", []) if o["output_type"] == "display_data"]
    assert len(kept) == 3 and all({"text/html", "text/markdown", "text/plain"} <= set(o["data"]) for o in kept)
    assert page.outside == [] and page.errors == []


def test_failing_cell_is_one_red_line_and_stops_run_all(lab, page, folder):
    path = notebook(folder / "fail.ipynb", [
        lab_cell('lab.Check(false, "rows add up", "got 2, want 3")'),
        lab_cell('lab.Check(true, "never shown", "")'),
        lab_cell('lab.Check(true, "never shown", "")'),
    ])
    open_notebook(page, lab, path)
    run_all(page)
    wait_all_run(page, 3)
    page.wait_for_timeout(500)
    text = page.inner_text(".jp-Notebook")
    assert "✗ rows add up does not hold; got 2, want 3" in text and "panic" not in text
    assert text.count("not run: a cell before this one failed") == 2
    assert "never shown" not in page.inner_text(".jp-CodeCell >> nth=1 >> .jp-OutputArea")
    page.screenshot(path=SHOTS / "failing.png")


def executed_quickstart():
    path = ROOT / "notebooks" / "quickstart.ipynb"
    if not path.exists() or not any(c.get("outputs") for c in json.loads(path.read_text())["cells"]):
        pytest.skip("notebooks/quickstart.ipynb has no outputs")
    return path


def test_quickstart_is_readable_untrusted(lab, page, folder):
    """What a person sees who opens a fresh clone: pictures and tables, no scripts, no spilled markup."""
    path = folder / "untrusted.ipynb"
    shutil.copy(executed_quickstart(), path)
    nb = json.loads(path.read_text())
    nb["cells"][0]["source"] = ["# copy\n"] + list(nb["cells"][0]["source"])  # another signature
    path.write_text(json.dumps(nb))
    open_notebook(page, lab, path)
    for y in range(0, 20_000, 600):  # cells are drawn when they come into view
        page.mouse.wheel(0, 600)
        page.wait_for_timeout(40)
    assert page.locator(".jp-Notebook iframe").count() == 0
    text = page.inner_text(".jp-Notebook")
    for spilled in ("<svg", "<div", "function(", "data:image"):
        assert spilled not in text, f"{spilled} is shown as text"
    for img in page.locator(".clt-out img").all():
        assert img.evaluate("e => e.complete && e.naturalWidth > 0"), "a picture is broken"
        assert img.get_attribute("alt")
    page.screenshot(path=SHOTS / "quickstart-untrusted.png")
    assert page.outside == [] and page.errors == []


def write_report(path, target):
    done = subprocess.run([sys.executable, ROOT / "scripts" / "notebook.py", "report", "-o", target, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pathlib.Path(target)


def sample(folder):
    path = ROOT / "notebooks" / "quickstart.ipynb"
    if path.exists():
        return path
    return notebook(folder / "sample.ipynb", ["md:# Sample\n\n$a_i = 1$\n\n## One\n\n## Two\n\n## Three", "%%\nfmt.Println(1)"])


@pytest.mark.parametrize("scripts", [True, False])
def test_report_needs_nothing_else(browser, folder, scripts):
    report = write_report(sample(folder), folder / "report.html")
    context = browser.new_context(java_script_enabled=scripts, offline=True, viewport={"width": 1200, "height": 1400})
    page = context.new_page()
    requests, errors = [], []
    page.on("request", lambda r: r.url.startswith("http") and requests.append(r.url))
    page.on("console", lambda m: m.type == "error" and errors.append(m.text[:200]))
    page.goto(report.as_uri())
    page.wait_for_timeout(800)
    assert page.locator("h1").first.is_visible() and page.title()
    for img in page.locator("main .clt-static img").all():
        if not img.is_visible():
            assert scripts, "a picture is hidden without scripts"
    page.screenshot(path=SHOTS / f"report-{'scripts' if scripts else 'plain'}.png", full_page=True)
    assert requests == [] and errors == []
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 380 if scripts else True
    context.close()
