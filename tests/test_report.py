"""Reports and the notebook runner, without a browser."""
import json
import re
import subprocess
import sys

import nbformat

from conftest import ROOT, lab_cell

sys.path.insert(0, str(ROOT / "notebooks" / "templates"))
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
