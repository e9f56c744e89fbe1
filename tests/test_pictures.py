"""The pictures of viz in a browser: nothing fetched, nothing logged, axe-core, hover time, keyboard, printing."""
import hashlib
import os
import shutil
import statistics
import subprocess
import tarfile

import pytest

from conftest import ROOT

PAGES = ["components", "hostile", "graph", "compare", "hostile-graph", "big"]
AXE = "axe-core@4.10.3"
AXE_SHA256 = "0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292"


@pytest.fixture(scope="module")
def pages(tmp_path_factory, chromium):
    """Pages with every component, written by a test of package viz."""
    folder = tmp_path_factory.mktemp("pictures")
    done = subprocess.run(["go", "test", "./viz", "-count=1", "-run", "^TestWritePictures$"], cwd=ROOT, env={**os.environ, "CLT_PICTURES": str(folder)},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The script of axe-core, from the npm registry once, then from .venv."""
    kept = ROOT / ".venv" / "clt" / "axe.min.js"
    if not kept.exists():
        if not shutil.which("npm"):
            pytest.skip("no npm on PATH, which would fetch axe-core; install npm to check accessibility")
        folder = tmp_path_factory.mktemp("axe")
        done = subprocess.run(["npm", "pack", AXE, "--silent"], cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip("npm could not fetch " + AXE + ": " + done.stderr.strip()[-200:])
        (package,) = folder.glob("*.tgz")
        assert hashlib.sha256(package.read_bytes()).hexdigest() == AXE_SHA256, "axe-core is not the package that was pinned"
        with tarfile.open(package) as tar:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(tar.extractfile("package/axe.min.js").read())
    return kept.read_text()


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield b
        b.close()


@pytest.fixture
def open_page(browser, pages):
    """Opens a page and, at the end, says that it asked for nothing and logged nothing."""
    contexts, logged, asked = [], [], []

    def go(name, **options):
        context = browser.new_context(viewport={"width": 1000, "height": 900}, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: logged.append(f"{name}: {m.text}"))
        page.on("pageerror", lambda e: logged.append(f"{name}: {e}"))
        page.on("dialog", lambda d: logged.append(f"{name}: dialog {d.message}"))
        page.on("request", lambda r: None if r.url.startswith(("data:", "blob:", "about:", f"file://{pages}/")) else asked.append(r.url))
        page.goto(f"file://{pages}/{name}.html")
        page.wait_for_timeout(600)
        return page

    yield go
    for c in contexts:
        c.close()
    assert not asked, asked
    assert not logged, logged


def frames(page):
    return [f for f in page.frames if f != page.main_frame]


@pytest.mark.parametrize("name, theme", [(n, t) for n in PAGES for t in ("light", "dark") if t == "light" or n in ("components", "graph")])
def test_axe(open_page, axe, name, theme):
    page = open_page(name, color_scheme=theme)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    found = []
    for f in page.frames:
        f.evaluate(axe)
        result = f.evaluate("axe.run(document, { iframes: false, resultTypes: ['violations'] })")
        found += [f"{v['id']} ({v['impact']}): {v['nodes'][0]['html'][:160]} … {v['nodes'][0]['failureSummary'][:200]}" for v in result["violations"] if v["impact"] in ("serious", "critical")]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", PAGES)
def test_without_scripts(open_page, name):
    page = open_page(name, java_script_enabled=False)
    still = page.locator(".clt-out").first
    assert still.is_visible() and not frames(page)
    for image in page.locator("img[src^='data:']").all()[:40]:
        assert image.bounding_box()["width"] > 0


@pytest.mark.parametrize("name", ["graph", "hostile-graph", "big", "compare"])
def test_frame_takes_over(open_page, name):
    page = open_page(name)
    assert frames(page)
    for f in frames(page):
        f.wait_for_selector("#list li")
        assert f.evaluate("window.__pwn === undefined")
        assert f.evaluate("(() => { try { return parent.document.title } catch (e) { return 'denied' } })()") == "denied"
    assert page.evaluate("window.__pwn === undefined") and page.locator("img[src='x']").count() == 0
    assert not page.locator(".clt-static").first.is_visible() or name == "compare"


def test_hover(open_page):
    """2,000 nodes and 50,000 edges: from the pointer's move to the frame after the one that shows it."""
    page = open_page("big")
    f = frames(page)[0]
    f.wait_for_selector("#list li")
    size = f.evaluate("(() => { var d = JSON.parse(document.getElementById('data').textContent); return [d.kind.length, d.s.length]; })()")
    assert size[0] >= 1900 and size[1] >= 40_000, size
    times = f.evaluate("""async () => {
        var pic = document.getElementById('pic'), D = JSON.parse(document.getElementById('data').textContent), out = [];
        var frame = () => new Promise((done) => requestAnimationFrame(done));
        for (var n = 0; n < 21; n++) {
            var i = D.rank[5 + 61 * n % 1500], b = pic.getBoundingClientRect(), k = b.width / (2 * D.W);
            await frame();
            var begin = performance.now();
            pic.dispatchEvent(new PointerEvent('pointermove', { clientX: b.left + D.nodes.x[i] * k, clientY: b.top + D.nodes.y[i] * k, pointerType: 'mouse', bubbles: true }));
            var script = performance.now() - begin;
            await frame();
            var next = performance.now() - begin;
            await frame();
            out.push([script, next, performance.now() - begin]);
        }
        return out;
    }""")
    script, next_frame, painted = ([t[k] for t in times] for k in range(3))
    print(f"\nhover at {size[0]} nodes, {size[1]} edges: script {statistics.median(script):.1f} ms, next frame {statistics.median(next_frame):.1f} ms, painted {statistics.median(painted):.1f} ms")
    assert statistics.median(script) <= 50


def test_keyboard(open_page):
    page = open_page("graph")
    f = frames(page)[0]
    f.wait_for_selector("#list li")
    f.focus("#list")
    spoken = []
    for key in ["ArrowDown", "ArrowDown", "Enter", "p", "/"]:
        page.keyboard.press(key)
        spoken.append(f.text_content("#live"))
    assert "say Austin" in spoken[0] and "pinned" in spoken[3], spoken
    page.keyboard.type("cities in")
    assert f.text_content("#found") == "1 found"
    page.keyboard.press("Enter")
    assert "cities in Texas" in f.text_content("#live")
    page.keyboard.press("Escape")
    for _ in range(40):  # focus can leave
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement && document.activeElement.tagName") != "IFRAME":
            break
    assert page.evaluate("document.activeElement.tagName") != "IFRAME"


def test_downloads(open_page):
    page = open_page("graph")
    f = frames(page)[0]
    f.wait_for_selector("#list li")
    for button, name, begins in [("svg", "graph.svg", b"<svg"), ("png", "graph.png", b"\x89PNG"), ("json", "view.json", b'{"format":"clt-view/1"')]:
        with page.expect_download(timeout=10_000) as got:
            f.click("#" + button)
        data = got.value.path().read_bytes()
        assert got.value.suggested_filename == name and data.startswith(begins) and len(data) > 5000, (name, len(data), data[:60])


def test_themes_follow(open_page):
    page = open_page("graph")
    f = frames(page)[0]
    for theme in ["dark", "light", "dark"]:
        page.evaluate(f"document.documentElement.setAttribute('data-theme', '{theme}')")
        page.wait_for_timeout(100)
        assert f.evaluate("document.documentElement.getAttribute('data-theme')") == theme


def test_narrow_and_zoomed(open_page):
    """At 360 pixels, and at 200 %, only figures scroll sideways."""
    for name in ["components", "graph", "compare"]:
        page = open_page(name)
        page.set_viewport_size({"width": 360, "height": 800})
        page.wait_for_timeout(200)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 372, (name, wide)


def test_print(open_page):
    page = open_page("graph")
    page.emulate_media(media="print")
    assert page.locator(".clt-static").first.is_visible() and not page.locator(".clt-frame").first.is_visible()
    assert page.pdf()[:4] == b"%PDF"


def test_gone_frames_are_rebuilt(open_page):
    """JupyterLab takes cells out of the page and puts them back."""
    page = open_page("graph")
    for _ in range(10):
        page.reload()
    page.wait_for_timeout(600)
    assert len(frames(page)) == 1
    frames(page)[0].wait_for_selector("#list li")


def test_reduced_motion(open_page):
    page = open_page("graph", reduced_motion="reduce")
    f = frames(page)[0]
    moving = "[...document.querySelectorAll('*')].filter((e) => getComputedStyle(e).transitionDuration !== '0s' || getComputedStyle(e).animationName !== 'none').length"
    assert page.evaluate(moving) == 0 and f.evaluate(moving) == 0


def test_figures_read_out(open_page):
    """Every figure with hover texts reads them out by keys and by pointer."""
    page = open_page("components")
    alive = frames(page)
    assert len(alive) >= 10
    for f in alive:
        f.focus("#figure")
        page.keyboard.press("ArrowRight")
        first = f.text_content("#say")
        page.keyboard.press("ArrowRight")
        assert first and f.text_content("#say") not in ("", first), first
        page.keyboard.press("Escape")
        assert f.text_content("#say").startswith("Point at the figure")
    f = alive[0]
    f.hover("#figure span >> nth=3")
    assert "position" in f.text_content("#say")
    assert f.evaluate("document.querySelectorAll('[title]').length") == 0  # no second tip
