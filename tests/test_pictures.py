"""The pictures of viz in a browser: nothing fetched, nothing logged, axe-core, hover time, keyboard, printing."""
import json
import re
import statistics
import zlib

import nbformat
import pytest

from conftest import serious

PAGES = ["components", "hostile", "graph", "compare", "hostile-graph", "big"]


@pytest.fixture
def open_page(browser, pictures):
    """Opens a page and, at the end, says that it asked for nothing and logged nothing."""
    contexts, logged, asked = [], [], []

    def go(name, **options):
        context = browser.new_context(**{"viewport": {"width": 1000, "height": 900}, "accept_downloads": True, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: logged.append(f"{name}: {m.text}"))
        page.on("pageerror", lambda e: logged.append(f"{name}: {e}"))
        page.on("dialog", lambda d: logged.append(f"{name}: dialog {d.message}"))
        page.on("request", lambda r: None if r.url.startswith(("data:", "blob:", "about:", f"file://{pictures}/")) else asked.append(r.url))
        page.goto(f"file://{pictures}/{name}.html")
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
    every = 5 if name == "hostile" else 1  # a dozen texts in the same figures: each kind of figure is met with two or three of them
    for f in [page.main_frame, *frames(page)[::every]]:
        found += serious(f, axe)
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


def test_pinned_nodes_stay(open_page):
    """The slider hides what has little influence, but nothing that is pinned."""
    f = frames(open_page("graph"))[0]
    f.wait_for_selector("#list li")
    count = "[document.querySelectorAll('#nodes .node').length, document.querySelectorAll('#nodes .pin').length]"
    whole, pinned = f.evaluate(count)
    f.eval_on_selector("#cut", "e => { e.value = e.min; e.dispatchEvent(new Event('input')) }")
    few, still = f.evaluate(count)
    assert pinned >= 1 and still == pinned and few < whole


def test_themes_follow(open_page):
    page = open_page("graph")
    f = frames(page)[0]
    for theme in ["dark", "light", "dark"]:
        page.evaluate(f"document.documentElement.setAttribute('data-theme', '{theme}')")
        page.wait_for_timeout(100)
        assert f.evaluate("document.documentElement.getAttribute('data-theme')") == theme


@pytest.mark.parametrize("options", [{"viewport": {"width": 360, "height": 800}}, {"viewport": {"width": 500, "height": 450}, "device_scale_factor": 2}])
def test_narrow_and_zoomed(open_page, options):
    """At 360 pixels, and at 200 % in a window of 1000, only figures scroll sideways."""
    for name in ["components", "graph", "compare"]:
        page = open_page(name, **options)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= options["viewport"]["width"] + 12, (name, wide)


def text_of_pdf(data):
    """The text of a PDF by its own tables from glyphs to characters: every run, read with the font's table that fits it best."""
    streams = [zlib.decompressobj().decompress(m.group(1)) for m in re.finditer(rb"FlateDecode[^>]*>>\s*stream\r?\n(.*?)endstream", data, re.S) if m.group(1)[:1] == b"x"]
    tables = []
    for s in streams:
        if b"begincmap" not in s:
            continue
        table = {int(a, 16): bytes.fromhex(b.decode()).decode("utf-16-be") for block in re.findall(rb"beginbfchar(.*?)endbfchar", s, re.S) for a, b in re.findall(rb"<(\w+)>\s*<(\w+)>", block)}
        for block in re.findall(rb"beginbfrange(.*?)endbfrange", s, re.S):
            for first, last, to in re.findall(rb"<(\w+)>\s*<(\w+)>\s*<(\w+)>", block):
                for k in range(int(last, 16) - int(first, 16) + 1):
                    table[int(first, 16) + k] = chr(int(to, 16) + k)
        tables.append(table)
    texts = []
    for table in tables:
        runs = [h for s in streams for h in re.findall(rb"<([0-9A-Fa-f]+)>", s) if b"begincmap" not in s and len(h) % 4 == 0]
        texts.append("".join(table.get(int(h[i:i + 4], 16), "\ufffd") for h in runs for i in range(0, len(h), 4)))
    return texts


def test_print(open_page):
    """Printed, the still picture stands for the frame, and the words can be copied out of the PDF."""
    page = open_page("graph")
    page.emulate_media(media="print")
    assert page.locator(".clt-static").first.is_visible() and not page.locator(".clt-frame").first.is_visible()
    data = page.pdf()
    assert data[:4] == b"%PDF" and len(re.findall(rb"/Type\s*/Page\b", data)) >= 1
    words = [w for w in re.findall(r"[A-Za-z]{6,}", page.inner_text(".clt-head")) if w.isascii()]
    texts = text_of_pdf(data)
    assert words and sum(any(w in t for t in texts) for w in words) > 0.8 * len(words), words


def test_scripts_forbidden(browser, pictures, tmp_path):
    """Where a host forbids scripts the still picture stays, and no empty frame is left."""
    target = tmp_path / "forbidden.html"
    target.write_text((pictures / "graph.html").read_text().replace("<head>", "<head><meta http-equiv=\"Content-Security-Policy\" content=\"script-src 'none'\">", 1))
    context = browser.new_context()
    page = context.new_page()
    page.goto(target.as_uri())
    page.wait_for_timeout(3500)
    still = page.locator(".clt-static").first.is_visible()
    left = page.locator("iframe").count()
    context.close()
    assert still and left == 0


@pytest.mark.parametrize("template", ["lab", "classic", "basic"])
def test_exported_by_nbconvert(browser, pictures, tmp_path, template):
    """nbconvert's own templates, with scripts off: pictures, and the code as asked."""
    from nbconvert import HTMLExporter

    nb = nbformat.v4.new_notebook()
    for i, o in enumerate(json.loads((pictures / "components.json").read_text())):
        out = nbformat.v4.new_output("display_data", {"text/html": o["HTML"], "text/markdown": o["Markdown"], "text/plain": o["Plain"]})
        nb.cells.append(nbformat.v4.new_code_cell(f"// source {i}", outputs=[out]))
    for hidden in (False, True):
        target = tmp_path / f"{hidden}.html"
        target.write_text(HTMLExporter(template_name=template, exclude_input=hidden).from_notebook_node(nb)[0])
        context = browser.new_context(java_script_enabled=False, offline=True)
        page = context.new_page()
        page.goto(target.as_uri())
        assert ("// source 3" in page.inner_text("body")) != hidden
        images = page.locator(".clt-static img:not([alt='']):not(details img)").all()
        assert len(images) > 10 and page.locator("iframe").count() == 0
        for image in images:
            assert image.bounding_box()["width"] > 0
        context.close()


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
