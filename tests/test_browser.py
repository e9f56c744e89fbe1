"""What a person sees in JupyterLab and in a report, with a real browser."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
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


@contextlib.contextmanager
def jupyter(log, base="/"):
    """The address of a running JupyterLab, started as make lab does."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k not in ("CLT_KEEP_GOING", "CLT_GONB_FLAGS")}
    environment["JUPYTERLAB_SETTINGS_DIR"] = f"{log}.settings"  # not the user's own: a test chooses the dark theme
    environment["JUPYTERLAB_WORKSPACES_DIR"] = f"{log}.workspaces"
    with open(log, "w") as out:
        server = subprocess.Popen([ROOT / "scripts" / "lab.sh", "--no-browser", f"--ServerApp.port={port}", f"--ServerApp.base_url={base}",
                                   f"--IdentityProvider.token={TOKEN}"], cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
        address = f"http://127.0.0.1:{port}{base.rstrip('/')}"
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=2)
                    break
                except OSError:
                    assert server.poll() is None, pathlib.Path(log).read_text()[-2000:]
                    time.sleep(0.25)
            else:
                pytest.fail("JupyterLab did not start")
            yield address
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture(scope="module")
def lab(chromium, folder):
    with jupyter(folder / "lab.log") as address:
        yield address


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
    page.outside, page.errors, page.seen = [], [], []
    page.on("request", lambda r: page.seen.append(r.url))
    page.on("request", lambda r: r.url.startswith(("http://127.0.0.1", "data:", "blob:", "about:", "file:")) or page.outside.append(r.url))
    page.on("console", lambda m: m.type == "error" and page.errors.append(m.text[:200]))
    page.on("pageerror", lambda e: page.errors.append(str(e)[:200]))
    yield page
    context.close()


def open_notebook(page, base, path):
    page.goto(f"{base}/lab/tree/{path.relative_to(ROOT)}?token={TOKEN}&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=180_000)
    page.wait_for_timeout(1000)


def run_all(page):
    page.click("text=Run >> nth=0")
    page.click("li[data-command='runmenu:run-all'], .lm-Menu-item:has-text('Run All Cells')")


def wait_all_run(page, n):
    page.wait_for_function(
        "n => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].filter(e => /\\[\\d+\\]/.test(e.textContent)).length >= n",
        arg=n, timeout=300_000)  # the first cell after a change builds the engine


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


def shell(page, command):
    """Runs a command of JupyterLab by the menu that has it."""
    menu, entry = command
    page.click(f".lm-MenuBar-item:has-text('{menu}')")
    page.click(f".lm-Menu-item:has-text('{entry}') >> visible=true")


def break_signature(path):
    """Another source, so that JupyterLab does not trust the outputs: what a fresh clone looks like."""
    nb = json.loads(path.read_text())
    nb["cells"][0]["source"] = ["# copy\n"] + list(nb["cells"][0]["source"])
    path.write_text(json.dumps(nb))


def scroll_through(page):
    page.hover(".jp-Notebook")
    for _ in range(60):  # cells are drawn when they come into view
        page.mouse.wheel(0, 600)
        page.wait_for_timeout(25)
    page.wait_for_timeout(300)


GRAPH = [
    lab_cell('g := lab.Open("pocket").Graph(" The capital of France is")\nlab.Show(g.Prune())'),
    lab_cell('lab.Check(true, "the end", "")'),
]


def graph_frame(page):
    """The frame of the first graph, when it is alive."""
    page.wait_for_selector("iframe.clt-frame", timeout=60_000)
    page.wait_for_function("() => { const f = document.querySelector('iframe.clt-frame'); return f && f.offsetHeight > 150 }", timeout=20_000)
    return page.frame_locator("iframe.clt-frame >> nth=0")


# E2, E3, E9 and "click a node, search, slide, save, reopen untrusted, trust": one notebook, as a person would.
def test_graph_lives_is_saved_reopened_and_trusted(lab, page, folder):
    path = notebook(folder / "größe und Ω" / "graph.ipynb", GRAPH)  # a folder with spaces and letters beyond ASCII
    page.on("dialog", lambda d: d.accept())
    open_notebook(page, lab, path)
    run_all(page)
    wait_all_run(page, 2)
    frame = graph_frame(page)
    assert not page.locator(".clt-static >> nth=0").is_visible(), "the picture stays beside the frame"
    assert page.evaluate("() => { try { return String(document.querySelector('iframe.clt-frame').contentDocument) } catch (e) { return 'denied' } }") in ("null", "denied")
    whole = frame.locator("#sum").inner_text()
    frame.locator("#list").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert frame.locator("#live").inner_text().strip(), "the live region says nothing about the node"
    frame.locator("#q").fill("Paris")
    assert "found" in frame.locator("#found").inner_text()
    frame.locator("#cut").evaluate("e => { e.value = 30; e.dispatchEvent(new Event('input')) }")
    assert frame.locator("#sum").inner_text() != whole, "the slider changes nothing"
    page.screenshot(path=SHOTS / "graph-alive.png")
    page.click(".lm-MenuBar-item:has-text('File')")
    page.click(".lm-Menu-item:has-text('Save Notebook') >> nth=0")
    page.wait_for_timeout(2500)
    assert any(o.get("metadata", {}).get("clt", {}).get("kind") == "graph" for c in json.loads(path.read_text())["cells"] for o in c.get("outputs", [])), "not saved"
    # The theme follows JupyterLab's.
    light = page.evaluate("getComputedStyle(document.querySelector('.clt-out')).backgroundColor")
    page.click(".lm-MenuBar-item:has-text('Settings')")
    page.hover(".lm-Menu-item:has-text('Theme') >> nth=0")
    page.click(".lm-Menu-item:has-text('JupyterLab Dark') >> nth=0")
    page.wait_for_function("() => document.body.getAttribute('data-jp-theme-light') === 'false'", timeout=15_000)
    page.wait_for_timeout(600)
    assert page.evaluate("getComputedStyle(document.querySelector('.clt-out')).backgroundColor") != light
    page.screenshot(path=SHOTS / "graph-dark.png")
    # Somebody else's copy: the picture and its table are there, nothing runs.
    break_signature(path)
    open_notebook(page, lab, path)
    page.wait_for_selector(".clt-static img", state="attached", timeout=30_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=SHOTS / "graph-untrusted.png")
    assert page.locator("iframe.clt-frame").count() == 0
    assert page.locator(".clt-static img >> nth=0").evaluate("e => e.complete && e.naturalWidth > 300")
    data = page.locator(".clt-out details:has(table)").last
    data.locator("summary").click()
    assert data.locator("table").is_visible()
    # Trusted, it lives again.
    subprocess.run([sys.executable, "-m", "jupyter", "trust", str(path)], check=True, capture_output=True)
    open_notebook(page, lab, path)
    graph_frame(page)
    assert page.outside == [] and page.errors == []


# E4: File, Save and Export Notebook As, HTML: our page, which opens offline.
def test_export_menu_writes_our_page(lab, page, browser, folder):
    path = folder / "exported.ipynb"
    shutil.copy(executed_quickstart(), path)
    open_notebook(page, lab, path)
    page.click(".lm-MenuBar-item:has-text('File')")
    page.hover(".lm-Menu-item:has-text('Save and Export Notebook As')")
    downloads = []
    page.on("download", lambda d: downloads.append(d))
    page.context.on("page", lambda p: p.on("download", lambda d: downloads.append(d)))
    page.locator(".lm-Menu-item:has-text('HTML')").last.click()
    page.click(".jp-Dialog .jp-mod-accept")  # sanitised, as it proposes
    end = time.monotonic() + 90
    while not downloads and time.monotonic() < end:
        page.wait_for_timeout(200)
    assert downloads, "the menu exports nothing"
    target = folder / "exported.html"
    downloads[0].save_as(target)
    text = target.read_text()
    assert "default-src 'none'" in text and 'id="clt-provenance"' in text and "Figure 1" in text and str(ROOT) not in text
    requests, errors = [], []
    context = browser.new_context(offline=True)
    p = context.new_page()
    p.on("request", lambda r: r.url.startswith("http") and requests.append(r.url))
    p.on("console", lambda m: m.type == "error" and errors.append(m.text[:200]))
    p.goto(target.as_uri())
    p.wait_for_timeout(1500)
    assert p.locator("iframe.clt-frame").count() >= 1, "the graph does not live on the page"
    assert requests == [] and errors == []
    context.close()


# E5: scrolling a notebook of many outputs up and down leaves no picture blank.
def test_scrolling_leaves_no_blank_picture(lab, page, folder):
    path = folder / "many.ipynb"
    nb = json.loads(executed_quickstart().read_text())
    cells = [c for c in nb["cells"] if any("text/html" in o.get("data", {}) for o in c.get("outputs", []))]
    nb["cells"] = nb["cells"][:1]
    for i in range(40):
        c = json.loads(json.dumps(cells[i % len(cells)]))
        c["id"] = f"many-{i}"
        nb["cells"].append(c)
    path.write_text(json.dumps(nb))
    open_notebook(page, lab, path)
    for direction in (1, -1, 1):
        page.hover(".jp-Notebook")
        for _ in range(70):
            page.mouse.wheel(0, direction * 900)
            page.wait_for_timeout(15)
    page.wait_for_timeout(800)
    seen = page.evaluate("""() => [...document.querySelectorAll('.clt-out img')].filter(e => e.offsetParent).map(e => [e.complete, e.naturalWidth, e.getBoundingClientRect().height])""")
    assert len(seen) >= 3 and all(done and w > 0 and h > 0 for done, w, h in seen), seen
    assert page.outside == [] and page.errors == []


# E6: the stop button ends a training, and what was reached is kept.
def test_interrupt_keeps_what_was_reached(lab, page, folder):
    out = ROOT / "out" / "browser-train"
    shutil.rmtree(out, ignore_errors=True)
    train = 'lab.Show(lab.Open("pocket").Train(lab.TrainOptions{Out: "out/browser-train", Features: 64, Steps: %d}))'
    path = notebook(folder / "train.ipynb", [lab_cell(train % 100_000)])
    open_notebook(page, lab, path)
    run_all(page)
    page.wait_for_function("() => { const p = document.querySelector('progress'); return p && p.value > 0 && /train/.test(document.querySelector('.jp-CodeCell .jp-OutputArea').innerText) }", timeout=300_000)
    page.wait_for_timeout(3000)
    begin = time.monotonic()
    page.click("[data-command='notebook:interrupt-kernel'], button[title*='Interrupt']")
    wait_all_run(page, 1)
    took = time.monotonic() - begin
    assert took < 10, f"the cell went on for {took:.0f} s"
    page.wait_for_timeout(500)
    text = page.inner_text(".jp-Notebook")
    assert "panic" not in text and "goroutine" not in text
    page.screenshot(path=SHOTS / "interrupted.png")
    assert any((out / "checkpoints").iterdir()), "nothing was kept"
    shutil.rmtree(out, ignore_errors=True)


# E7: after a restart the last cell alone works, or says which cell to run first.
def test_restart_and_run_the_last_cell(lab, page, folder):
    path = notebook(folder / "restart.ipynb", GRAPH[:1] + [lab_cell('lab.Show(lab.Open("pocket").Predict(" The capital of France is"))')])
    open_notebook(page, lab, path)
    run_all(page)
    wait_all_run(page, 2)
    page.click(".lm-MenuBar-item:has-text('Kernel')")
    page.click(".lm-Menu-item:has-text('Restart Kernel and Clear Outputs')")
    page.click(".jp-Dialog .jp-mod-accept")
    page.wait_for_timeout(2500)
    page.click(".jp-CodeCell >> nth=1")
    page.keyboard.press("Shift+Enter")
    page.wait_for_function("() => /Paris|not imported|undefined/.test([...document.querySelectorAll('.jp-CodeCell')][1].innerText)", timeout=60_000)
    assert "Paris" in page.inner_text(".jp-CodeCell >> nth=1")


# E8: two tabs on one notebook: none crashes, the result is in both or in one.
def test_two_tabs_on_one_notebook(lab, page, folder):
    path = notebook(folder / "tabs.ipynb", [lab_cell('lab.Check(true, "seen", "")')])
    open_notebook(page, lab, path)
    other = page.context.new_page()
    other.goto(f"{lab}/lab/workspaces/other/tree/{path.relative_to(ROOT)}?token={TOKEN}&reset")
    other.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    run_all(page)
    wait_all_run(page, 1)
    page.wait_for_timeout(1500)
    assert "seen" in page.inner_text(".jp-CodeCell .jp-OutputArea")
    assert other.locator(".jp-Notebook .jp-Cell").count() == 1 and page.errors == []
    other.close()


# E10: behind a base URL, as on a hub: nothing may assume / or a port.
def test_behind_a_base_url(chromium, page, folder):
    path = notebook(folder / "base.ipynb", GRAPH)
    with jupyter(folder / "base.log", "/user/x/") as address:
        open_notebook(page, address, path)
        run_all(page)
        wait_all_run(page, 2)
        graph_frame(page)
        outside = [u for u in page.seen if u.startswith("http") and "/user/x/" not in u]
        assert outside == [] and page.errors == []


def executed_quickstart():
    path = ROOT / "notebooks" / "quickstart.ipynb"
    if not path.exists() or not any(c.get("outputs") for c in json.loads(path.read_text())["cells"]):
        pytest.skip("notebooks/quickstart.ipynb has no outputs")
    return path


def test_quickstart_is_readable_untrusted(lab, page, folder):
    """What a person sees who opens a fresh clone: pictures and tables, no scripts, no spilled markup."""
    path = folder / "untrusted.ipynb"
    shutil.copy(executed_quickstart(), path)
    break_signature(path)
    open_notebook(page, lab, path)
    scroll_through(page)
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
