"""Every picture as an output of a saved notebook, in JupyterLab: untrusted and trusted, light and dark, with nothing run."""
import json
import time
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from conftest import serious
from labui import SHOTS, notebook, open_notebook, scroll_through

HTML = ".jp-OutputArea-output[data-mime-type='text/html']"


class Text(HTMLParser):
    """The text of an output without its script."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text, self.quiet = "", False

    def handle_starttag(self, tag, attrs):
        self.quiet = tag == "script"

    def handle_endtag(self, tag):
        self.quiet = False

    def handle_data(self, data):
        if not self.quiet:
            self.text += data


def text_of(html):
    parser = Text()
    parser.feed(html)
    parser.close()
    return "".join(parser.text.split())


def saved(folder, outputs, name, trusted):
    """A notebook with one output in each cell, as it is after somebody ran it and saved."""
    new = nbformat.v4.new_output
    path = notebook(folder / f"{name}.ipynb", [
        nbformat.v4.new_code_cell(f"// {o['Kind']}", execution_count=i + 1, outputs=[
            new("display_data", {"text/html": o["HTML"], "text/markdown": o["Markdown"], "text/plain": o["Plain"]}, metadata={"clt": {"kind": o["Kind"], "v": 1}})])
        for i, o in enumerate(outputs)])
    notary = NotebookNotary()
    (notary.sign if trusted else notary.unsign)(nbformat.read(path, 4))  # an earlier run may have signed the same text
    return path


def scripts(outputs):
    return sum(o["HTML"].count("<script>") for o in outputs)


@pytest.fixture
def shown(lab, page, folder, pictures):
    """Opens a saved notebook of outputs; all cells are in the page unless another windowing mode is asked for."""
    said = []
    page.on("dialog", lambda d: (said.append(d.message), d.dismiss()))

    def show(name, trusted, theme="Light", mode="none", repeat=1):
        outputs = json.loads((pictures / f"{name}.json").read_text()) * repeat
        lab.theme(theme)
        lab.set("@jupyterlab/notebook-extension:tracker", windowingMode=mode)
        open_notebook(page, lab, saved(folder, outputs, f"{name}-{trusted}-{mode}", trusted))
        if mode == "none":
            page.wait_for_function(f"n => document.querySelectorAll(`{HTML}`).length === n", arg=len(outputs), timeout=60_000)
            if trusted:
                page.wait_for_function("n => [...document.querySelectorAll('iframe.clt-frame')].filter((f) => f.offsetHeight > 30).length === n", arg=scripts(outputs), timeout=60_000)
        return outputs

    yield show
    assert said == [], "a dialog"
    assert page.evaluate("window.__pwn === undefined")


@pytest.mark.parametrize("name, theme", [("components", "Light"), ("components", "Dark"), ("hostile", "Light")])
def test_untrusted(shown, page, axe, name, theme):
    """Pictures, tables and texts are there as they were written; nothing is alive, nothing spills."""
    outputs = shown(name, False, theme)
    page.wait_for_timeout(500)
    assert page.evaluate("document.body.getAttribute('data-jp-theme-light')") == ("true" if theme == "Light" else "false")
    assert page.locator(".jp-Notebook iframe").count() == 0
    got = page.evaluate(f"[...document.querySelectorAll(`{HTML}`)].map((e) => [e.textContent, [...e.querySelectorAll('img')].every((i) => i.complete && i.naturalWidth > 0 && (i.offsetWidth > 0 || i.closest('details')))])")
    for o, (text, whole) in zip(outputs, got):
        assert "".join(text.split()) == text_of(o["HTML"]), o["Kind"]
        assert whole, f"{o['Kind']}: a picture is broken"
    assert page.locator("img[src='x']").count() == 0, "a token became a picture"
    page.evaluate("document.querySelectorAll('.jp-OutputArea-output details').forEach((d) => { d.open = true; })")
    folded = page.evaluate("[...document.querySelectorAll('.jp-OutputArea-output details table')].map((t) => t.offsetHeight > 0)")
    assert folded and all(folded), "a table does not unfold"
    if name == "components":
        found = serious(page, axe, "{ include: [['.jp-OutputArea-output .clt-out']] }")
        assert not found, "\n".join(found)


def test_hover_texts_lie_on_their_nodes(shown, page):
    """Untrusted, at full and at half width: the hover text under the middle of a node is the node's."""
    shown("components", False)
    where = """() => [...document.querySelectorAll('.clt-graph .clt-static span[title]')].slice(0, 120).map((e) => {
        e.scrollIntoView({ block: 'center' });
        const b = e.getBoundingClientRect(), hit = document.elementFromPoint(b.left + b.width / 2, b.top + b.height / 2);
        return [e.title, hit && hit.title || '', b.width];
    })"""
    for width in (1280, 760):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_timeout(400)
        spots = page.evaluate(where)
        wrong = [(want, got) for want, got, _ in spots if want != got]
        assert len(spots) > 40 and not wrong, f"at {width} pixels {len(wrong)} of {len(spots)}: {wrong[:3]}"
        assert all(w > 2 for *_, w in spots)


@pytest.mark.parametrize("name, theme", [("components", "Light"), ("components", "Dark"), ("hostile", "Light")])
def test_trusted(shown, page, name, theme):
    """Every figure comes alive in its own frame, which reaches nothing; the same graph twice is two graphs."""
    shown(name, True, theme)
    frames = [f for f in page.frames if f != page.main_frame]
    for f in frames:
        assert f.evaluate("(() => { try { return parent.document.title } catch (e) { return 'denied' } })()") == "denied"
        assert f.evaluate("window.__pwn === undefined")
    still = page.evaluate("[...document.querySelectorAll('.clt-out')].filter((o) => o.querySelector(':scope > iframe.clt-frame')).map((o) => getComputedStyle(o.querySelector('.clt-static')).display)")
    assert still and set(still) == {"none"}, "the still picture stays beside the frame"
    if name != "components":
        return
    graphs = [f for f in frames if f.query_selector("#list li")]
    assert len(graphs) >= 3
    for mode in (theme, "Dark" if theme == "Light" else "Light"):
        page.evaluate(f"document.body.setAttribute('data-jp-theme-light', '{str(mode == 'Light').lower()}')")
        page.wait_for_timeout(200)
        assert {f.get_attribute("html", "data-theme") for f in graphs} == {mode.lower()}
    page.screenshot(path=SHOTS / f"outputs-{theme.lower()}.png")
    one, two = graphs[:2]
    whole = two.text_content("#sum")
    one.eval_on_selector("#cut", "e => { e.value = 20; e.dispatchEvent(new Event('input', { bubbles: true })) }")
    assert one.text_content("#sum") != whole and two.text_content("#sum") == whole, "two frames of one graph are not apart"
    with page.expect_download(timeout=15_000) as got:  # downloads are allowed out of the frame
        two.click("#svg")
    assert got.value.suggested_filename == "graph.svg" and got.value.path().read_bytes().startswith(b"<svg")


BLANK = """() => {
    const box = document.querySelector('.jp-WindowedPanel-outer, .jp-Notebook').getBoundingClientRect();
    return [...document.querySelectorAll('.clt-out')].filter((o) => {
        const b = o.getBoundingClientRect(), f = o.querySelector(':scope > iframe'), s = o.querySelector('.clt-static');
        if (!b.height || b.bottom < box.top || b.top > box.bottom) return false;
        if (f) return f.offsetHeight < 30 && !s.offsetHeight;
        return [...(s || o).querySelectorAll('img')].some((i) => !i.complete || !i.naturalWidth || !i.offsetHeight && !i.closest('details'));
    }).map((o) => o.className);
}"""


# E5 and B15: scrolling up and down leaves no figure in sight blank, and no frame too many.
@pytest.mark.parametrize("mode", ["defer", "full", "contentVisibility"])
def test_scrolling_leaves_no_blank_picture(shown, page, mode):
    outputs = shown("components", True, mode=mode, repeat=2)
    for direction in (1, -1, 1, -1):
        scroll_through(page, direction, steps=25, by=1200, pause=10)
        end = time.monotonic() + 10  # what came into sight may draw itself
        while page.evaluate(BLANK) and time.monotonic() < end:
            page.wait_for_timeout(100)
        assert page.evaluate(BLANK) == [], f"{mode}: figures in sight are blank"
        assert page.locator(".clt-out").count() > 0
        assert page.locator("iframe.clt-frame").count() <= scripts(outputs), "frames are left behind"
