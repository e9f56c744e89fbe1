"""Reports and the notebook runner, without a browser."""
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import nbformat
import pytest

from conftest import ROOT, lab_cell

sys.path.insert(0, str(ROOT / "notebooks" / "templates"))
import harmless  # noqa: E402
import page as template  # noqa: E402


def tool(*args):
    return subprocess.run([sys.executable, ROOT / "scripts" / "notebook.py", *map(str, args)], capture_output=True, text=True)


def make(path, *cells):
    nb = nbformat.v4.new_notebook()
    nb.cells = [nbformat.v4.new_markdown_cell(c[3:]) if c.startswith("md:") else nbformat.v4.new_code_cell(c) for c in cells]
    for i, c in enumerate(nb.cells):
        c["id"] = f"c{i}"
    nbformat.write(nb, path)
    return path


def test_mathematics_becomes_mathml():
    got = template.mathml("price `$5$`, $a_i$ and\n\n$$\\sum_i x_i$$\n\n```\n$b$\n```")
    assert got.count("<math") == 2 and "`$5$`" in got and "$b$" in got and 'display="block"' in got


def test_dollars_that_are_no_mathematics_stay():
    assert template.mathml("costs $5 or US$6 here") == "costs $5 or US$6 here"


def test_report_is_self_contained_and_repeatable(tmp_path):
    path = make(tmp_path / "a.ipynb", "md:# The <title>\n\n$a$\n\n## One\n\n## Two\n\n## Two\n\n```\n# no heading\n```", "%%\nfmt.Println(1 < 2)")
    nb = nbformat.read(path, 4)
    nb.cells[1].outputs = [nbformat.v4.new_output("display_data", {"text/html": "<b>bold</b>", "text/plain": "bold"}, metadata={"clt": {"kind": "x"}})]
    nb.metadata["clt"] = {"model": "pocket </script><script>alert(1)", "seeds": {"train": 1}}
    nbformat.write(nb, path)
    pages = []
    for name in ("1.html", "2.html"):
        done = tool("report", "-o", tmp_path / name, path)
        assert done.returncode == 0, done.stderr
        pages.append((tmp_path / name).read_text())
    assert pages[0] == pages[1], "two runs differ"
    html = pages[0]
    assert "default-src 'none'" in html and "<b>bold</b>" in html
    assert [u for u in re.findall(r"https?://[^\s\"'<>]+", html) if "www.w3.org" not in u] == []
    assert not re.search(r"<script[^>]*\ssrc=|<link\b|@import|url\(", html)
    assert len(set(re.findall(r'<a id="(s-[^"]+)"', html))) == 3, "headings of the same name need different anchors"
    assert html.count("<script>alert") == 0
    block = re.search(r'<script [^>]*id="clt-provenance"[^>]*>(.*?)</script>', html, re.S).group(1)
    assert json.loads(block)["seeds"] == {"train": 1}
    assert str(ROOT) not in html and len(html) < 40_000


def provenance(html):
    return json.loads(re.search(r'<script [^>]*id="clt-provenance"[^>]*>(.*?)</script>', html, re.S).group(1))


HOSTILE = [
    "<script>window.__pwn=1</script>", "<img src=x onerror='window.__pwn=1'>", "<svg onload=window.__pwn=1>", "<iframe srcdoc='<script>top.__pwn=1</script>'></iframe>",
    "<a href='java\tscript:window.__pwn=1'>x</a>", "<form action='https://example.org'><input></form>", "<img src='https://example.org/x.png'>",
    "<div style='background:url(https://example.org)'>x</div>", "<meta http-equiv=refresh content='0;url=https://example.org'>", "<img src=x onerror=window.__pwn=1",
    "<math><mtext><style><img src=x onerror=window.__pwn=1></style></mtext></math>", "<details open ontoggle=window.__pwn=1>x</details>", "<object data='data:text/html,x'></object>",
    # what a parser that is not a browser's reads in another way
    "<!--><img src=x onerror=window.__pwn=1>-->", "<!--x--!><img src=x onerror=window.__pwn=1>-->", "<![CDATA[><img src=x onerror=window.__pwn=1>]]>", "<?x ><img src=x onerror=window.__pwn=1>?>",
    *[f'<{t}><p title="</{t}><img src=x onerror=window.__pwn=1>">' for t in ("textarea", "title", "noscript", "xmp", "noembed", "noframes", "style")],
    "<p title='a' \"=\"><img src=x onerror=window.__pwn=1>\">", "<scr\x00ipt>window.__pwn=1</script>", "<!-- --><p><!--><script>window.__pwn=1</script>--></p>", "<plaintext>",
    "<img/src=x/onerror=window.__pwn=1>", '<img src="x"onerror=window.__pwn=1>', "<script/x>window.__pwn=1</script>", "<a href='java&#115;cript:window.__pwn=1'>x</a>", "</div></main><b>out</b>",
]
MARKDOWN = [
    "[x](javascript:window.__pwn=1)", "![x](javascript:window.__pwn=1)", "[x]: javascript:window.__pwn=1\n\n[x]", "<javascript:window.__pwn=1>", "[a](data:text/html,<script>window.__pwn=1</script>)",
    "[a](JaVaScRiPt:window.__pwn=1)", "[a](java&#115;cript:window.__pwn=1)", "[x](vbscript:x)", "[x](file:///etc/passwd)", "$\\href{javascript:window.__pwn=1}{x}$", "$\\text{<img src=x onerror=window.__pwn=1>}$",
    "$a<img src=x onerror=window.__pwn=1>b$", '<p title="`" onclick=window.__pwn=1 `">x', "`a`<img src=x onerror=window.__pwn=1>`b`", "``a ` <img src=x onerror=window.__pwn=1>`` ` <img src=x onerror=window.__pwn=2>",
    "# <img src=x onerror=window.__pwn=1>", "[<img src=x onerror=window.__pwn=1>](#)", "![<img src=x onerror=window.__pwn=1>](x)", "$\\frac$",
]


class Scan(HTMLParser):
    """What runs or leads to something that runs, of a text in which nothing is hidden from this parser."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.found = []

    def handle_starttag(self, tag, attrs):
        leads = [n for n, v in attrs if n.startswith("on") or n in ("href", "src") and not re.match(r"#|https?://|data:image/", v or "")]
        if tag in ("script", "iframe", "form", "object", "style", "svg", "meta", "textarea", "title", "noscript", "xmp", "plaintext") or leads:
            self.found.append(self.get_starttag_text())

    def handle_comment(self, data):
        self.found.append("<!--" + data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def hostile(path):
    """A notebook that was written by somebody who means no good."""
    make(path, "md:# Title\n\n" + "\n\n".join(HOSTILE), *["%%\n// nothing"] * 4, *["md:" + m for m in MARKDOWN])
    nb = nbformat.read(path, 4)
    new = nbformat.v4.new_output
    nb.cells[1].outputs = [new("display_data", {"text/html": h, "text/plain": f"plain {i}"}) for i, h in enumerate(HOSTILE)]
    nb.cells[2].outputs = [new("display_data", {"text/html": h, "text/plain": f"ours {i}"}, metadata={"clt": {"kind": "graph", "v": 1}}) for i, h in enumerate(HOSTILE)]
    nb.cells[3].outputs = [new("display_data", {"application/javascript": "window.__pwn=1"}), new("display_data", {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>window.__pwn=1</script></svg>"}),
                           new("display_data", {"text/markdown": HOSTILE[0]}), new("display_data", {"text/latex": "$x$<script>window.__pwn=1</script>"}),
                           new("stream", name="stdout", text=HOSTILE[0]), new("error", ename=HOSTILE[0], evalue=HOSTILE[1], traceback=[HOSTILE[0], "\x1b[31mred\x1b[0m"]),
                           new("display_data", {"image/png": '"><img src=x onerror=window.__pwn=1>'}), new("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"width": '1"onerror="window.__pwn=1'}}),
                           new("display_data", {"text/plain": "x"}, metadata={"clt": "no object"})]
    nb.cells[4].outputs = [new("display_data", {"text/html": "<table><tr><td><b>kept</b></td></tr></table>", "text/plain": "x"})]
    nb.metadata["title"], nb.metadata["clt"] = HOSTILE[1], {"x</script><script>window.__pwn=1": "</script><img src=x onerror=window.__pwn=1>"}
    nbformat.write(nb, path)
    return path


def test_foreign_outputs_cannot_run(tmp_path):
    done = tool("report", "-o", tmp_path / "h.html", hostile(tmp_path / "h.ipynb"))
    assert done.returncode == 0, done.stderr
    html = (tmp_path / "h.html").read_text()
    body = html[html.index("<main"):html.index("</main>")]
    scan = Scan()
    scan.feed(body)
    assert scan.found == []
    assert "<b>kept</b>" in body and "plain 1" in body and "ours 1" in body, "plain text must stand in for what was left out"
    assert "data:image/svg+xml;base64," in body and html.count("<script") == 2, "our two scripts and no other"
    allowed = re.search(r"script-src ([^;]*);", html).group(1)
    assert allowed == harmless._named(template._SCRIPT), "the policy names our script and no other"


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"cells": 7}', '{"nbformat": 4, "nbformat_minor": 5, "metadata": {"title": 7}, "cells": []}', '{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}',
                                  '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}', "\xff"])
def test_what_is_no_notebook_is_said_in_one_line(tmp_path, text):
    (tmp_path / "x.ipynb").write_text(text, encoding="latin-1")
    for command in ("report", "run"):
        done = tool(command, tmp_path / "x.ipynb")
        lines = [x for x in done.stderr.strip().splitlines() if "Warning" not in x and not x.startswith("  ")]
        assert done.returncode == 1 and len(lines) == 1 and "x.ipynb is no valid notebook" in lines[0], done.stderr


@pytest.mark.parametrize("name, texts", [("swap", '"\\u003cp>","title"'), ("alive", '"\\u003cp>","tail","title"')])
def test_only_our_script_is_ours(name, texts):
    frame = ROOT / "viz" / "frame"
    swap = (frame / f"{name}.js").read_text().replace("  // host.js comes here\n", (frame / "host.js").read_text())
    ours = "".join(x.strip() + "\n" for x in swap.splitlines() if x.strip() and not x.strip().startswith("//")).rstrip("\n")
    good = "<div><script>" + ours + "(" + texts + ");</script></div>"
    assert harmless.harmless(good, True)
    assert not harmless.harmless(good, False), "not without our mark"
    for bad in (good.replace('"title");', '"title");window.__pwn=1;'), good.replace('"title")', '"title"+window.__pwn())'), good.replace("(function", "x=1;(function"),
                good.replace("<script>", "<script src='data:,x'>"), good.replace('"title"', "window"), good.replace("</script>", "")):
        assert not harmless.harmless(bad, True), bad[-80:]


def test_report_counts_numbers_and_says_where_from(tmp_path):
    path = make(tmp_path / "my book.ipynb", "md:# Book\n\n## One", "%%\n// a")
    nb = nbformat.read(path, 4)
    nb.metadata["title"] = "Book"  # the same as the heading: it stands once
    out = lambda kind, html, plain: nbformat.v4.new_output("display_data", {"text/html": html, "text/plain": plain}, metadata={"clt": {"kind": kind, "v": 1}})  # noqa: E731
    nb.cells[1].outputs = [out("table", "<table><caption>Numbers</caption></table>", "t"), out("check", "<p>c</p>", "✓ holds"), out("check", "<p>c</p>", "✗ fails"),
                           out("topk", '<div class="clt-head" style=""><div style="">After &lt;b&gt;</div></div>', "k"), out("finding", "<p>f</p>", "Paris comes from one feature.")]
    nbformat.write(nb, path)
    assert tool("report", "-o", tmp_path / "1.html", path).returncode == 0
    html = (tmp_path / "1.html").read_text()
    assert html.count("<h1") == 1 and "Figure 1. Numbers" in html and "Figure 2. After &lt;b&gt;" in html
    assert "1 of 2 checks hold" in html and "1 checks do not hold" in html and "<p>Paris comes from one feature.</p>" in html
    block = provenance(html)
    assert block["schema"] == "clt-provenance/1" and block["notebook"] == "my book.ipynb" and block["command"] == "clt nb run -report 'my book.ipynb'"
    assert len(block["cells_sha256"]) == 64 and str(tmp_path) not in html
    nb.cells[1].outputs[0]["data"]["text/plain"] = "other"
    nbformat.write(nb, path)
    assert tool("report", "-o", tmp_path / "2.html", path).returncode == 0
    other = provenance((tmp_path / "2.html").read_text())
    assert other["outputs_sha256"] != block["outputs_sha256"] and other["cells_sha256"] == block["cells_sha256"]
    assert tool("report", "--no-input", "-o", tmp_path / "3.html", path).returncode == 0
    assert '<details class="code">' in html and '<details class="code">' not in (tmp_path / "3.html").read_text()


def test_runner_says_which_cell_failed(tmp_path):
    path = make(tmp_path / "fails.ipynb", "%%\nfmt.Println(1)", lab_cell('lab.Check(false, "rows add up", "got 2")'))
    done = tool("run", path)
    assert done.returncode == 1
    assert "cell 2" in done.stderr and "rows add up does not hold; got 2" in done.stderr and "Traceback" not in done.stderr
    assert tool("run", tmp_path / "nothing.ipynb").returncode == 1
    assert tool("run", tmp_path / "nothing.ipynb").stderr.strip().count("\n") == 0


def test_runner_normalises(tmp_path):
    path = make(tmp_path / "n.ipynb", lab_cell('lab.Check(true, "rows add up", "1e-7")'))
    for _ in range(2):
        done = tool("run", "--in-place", path)
        assert done.returncode == 0, done.stderr
        assert "✓" in done.stdout and "found:" in done.stdout
    nb = json.loads(path.read_text())
    assert nb["metadata"]["language_info"] == {"file_extension": ".go", "mimetype": "text/x-go", "name": "go"}
    first = path.read_text()
    tool("run", "--in-place", path)
    assert path.read_text() == first, "two runs of the same notebook differ"


def test_read_only_clone(tmp_path):
    """A clone in which nothing can be written: Jupyter keeps its files elsewhere, the rest is refused in one line."""
    if os.geteuid() != 0 or not shutil.which("unshare") or (ROOT / "out").is_symlink():
        pytest.skip("needs root and unshare, to mount the clone read-only")
    script = f"""mount --bind "{ROOT}" "{ROOT}" && mount -o remount,bind,ro "{ROOT}" || exit 77
cd "{ROOT}"
. scripts/env.sh
mkdir -p "$JUPYTER_RUNTIME_DIR" && touch "$JUPYTER_RUNTIME_DIR/x" && echo "runtime $JUPYTER_RUNTIME_DIR"
unset JUPYTER_CONFIG_DIR JUPYTER_DATA_DIR JUPYTER_RUNTIME_DIR IPYTHONDIR
"{sys.executable}" scripts/notebook.py run tutorials/00-first-picture.ipynb; echo "status $?"
"{sys.executable}" scripts/notebook.py report tutorials/00-first-picture.ipynb; echo "status $?"
scripts/demo.sh; echo "status $?"
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER_", "IPYTHON"))}
    done = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True, env={**environment, "TMPDIR": str(tmp_path)})
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("mounting is not allowed here")
    assert f"runtime {tmp_path}/clt-0/jupyter/runtime" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("status 1") == 3, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 3 and "Traceback" not in done.stderr, lines
    assert "out/nb cannot be written" in lines[0] and "out/00-first-picture.html cannot be written" in lines[1] and "copy it to a folder of your own" in lines[2], lines
