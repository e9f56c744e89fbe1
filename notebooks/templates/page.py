"""nbconvert for the clt template: foreign outputs made harmless, mathematics as MathML, an outline, numbered figures, a
summary, and where the page comes from. Used by notebook.py and, through templates/lab/server.py, by JupyterLab's export menu.
"""
import base64
import hashlib
import html
import json
import pathlib
import re
import shlex

from harmless import harmless, inert, policy
from latex2mathml.converter import convert
from nbconvert.preprocessors import Preprocessor
from pygments.formatters import HtmlFormatter

# code spans and blocks are left alone; then $$display$$ and $inline$
_TEX = re.compile(r"(```.*?```|`[^`\n]*`)|\$\$(.+?)\$\$|(?<![\\$\w])\$([^$\n]+?)\$(?![\w$])", re.S)
_FENCE = re.compile(r"```.*?```", re.S)
_HEADING = re.compile(r"^(#{1,3})\s+(.+?)\s*#*\s*$", re.M)


def mathml(source):
    """Replaces TeX in Markdown by MathML, which browsers draw without a script."""

    def one(m):
        if m.group(1):
            return m.group(1)
        try:
            return convert(m.group(2).strip(), display="block") if m.group(2) else convert(m.group(3))
        except Exception:  # whatever the converter makes of TeX that is none
            return "`" + (m.group(2) or m.group(3)).strip().replace("`", "'").replace("\n", " ") + "`"

    return _TEX.sub(one, source)


def slug(text, taken):
    """An anchor for a heading, unique on the page."""
    base = "s-" + (re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part")
    name, n = base, 2
    while name in taken:
        name, n = f"{base}-{n}", n + 1
    taken.add(name)
    return name


class MathML(Preprocessor):
    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type == "markdown":
            cell.source = mathml(cell.source)
        return cell, resources


# --- what may run ----------------------------------------------------------------------------------------------------

class Foreign(Preprocessor):
    """Shows outputs and Markdown of others so that nothing in them runs; comes before all that adds tags of ours."""

    said = "(an output that could run a script was left out)"

    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type == "raw":
            cell.cell_type, cell.source = "markdown", "~~~\n" + cell.source.replace("~~~", "~ ~ ~") + "\n~~~"
        for out in cell.get("outputs", []):
            data, meta = out.get("data"), out.get("metadata", {})
            if not isinstance(meta.get("clt"), dict):
                meta.pop("clt", None)
            for kind in [k for k in meta if "/" in k]:
                del meta[kind]  # sizes of pictures, which go into attributes
            if data is not None:
                self.sanitise(data, "clt" in meta)
        return cell, resources

    def sanitise(self, data, ours):
        text = data.get("text/html")
        if text is not None and not harmless("".join(text), ours):
            del data["text/html"]
            data.setdefault("text/plain", self.said)
        svg = data.pop("image/svg+xml", None)
        if svg is not None and "text/html" not in data:
            picture = base64.b64encode("".join(svg).encode()).decode()
            data["text/html"] = f'<img alt="a picture" src="data:image/svg+xml;base64,{picture}">'
        for kind in list(data):
            picture = kind in ("image/png", "image/jpeg", "image/gif") and _BASE64.fullmatch("".join(data[kind]))
            if kind not in ("text/html", "text/plain") and not picture:
                del data[kind]  # Markdown, LaTeX, JavaScript, widgets: their plain text stays
        if not data:
            data["text/plain"] = self.said


_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")


class Policy(Preprocessor):
    """Names the page's scripts for its content security policy; comes last, when all outputs are as they will stand."""

    def preprocess(self, nb, resources):
        shown = ["".join(o.data["text/html"]) for c in nb.cells for o in c.get("outputs", []) if "text/html" in o.get("data", {})]
        resources["page_script"] = _SCRIPT
        resources["script_policy"] = policy(shown, _SCRIPT)
        return nb, resources


_SCRIPT = (pathlib.Path(__file__).parent / "clt" / "page.js").read_text()


# --- what the page says ----------------------------------------------------------------------------------------------

_TITLE = re.compile(r'<div class="clt-head"[^>]*>\s*<div[^>]*>(.*?)</div>', re.S)
_CAPTION = re.compile(r"<caption[^>]*>(.*?)</caption>", re.S)
# What lab.Done says at the end of a notebook whose claims all hold.
_DONE = re.compile(r"(\d+) of \1 checks of this notebook hold")
_NO_FIGURE = ("progress", "check", "checks", "text", "error", "remark", "finding", "proof", "done")


class Figures(Preprocessor):
    """Numbers the pictures and tables of the notebook, and counts what was checked."""

    def preprocess(self, nb, resources):
        number, passed, failed, findings, errors = 0, 0, 0, [], 0
        for cell in nb.cells:
            for out in cell.get("outputs", []):
                errors += out.output_type == "error"
                ours = out.get("metadata", {}).get("clt")
                if not isinstance(ours, dict) or "data" not in out:
                    continue
                plain = "".join(out.data.get("text/plain", "")).strip()
                kind = ours.get("kind")
                if kind in ("check", "checks"):
                    passed += plain.count("✓")
                    failed += plain.count("✗")
                    if (done := _DONE.search(plain)) and not failed:  # lines that say "wrote" are no claims
                        passed = int(done.group(1))
                elif kind in ("finding", "proof") and plain:
                    findings.append(" ".join(plain.split())[:400])
                if kind not in _NO_FIGURE and "text/html" in out.data:
                    number += 1
                    m = _TITLE.search("".join(out.data["text/html"])) or _CAPTION.search("".join(out.data["text/html"]))
                    title = html.unescape(re.sub(r"<[^>]+>", "", m.group(1))) if m else str(kind)
                    ours["figure"] = {"number": number, "title": " ".join(title.split())[:200], "id": f"figure-{number}"}
                else:
                    ours.pop("figure", None)
        resources["summary"] = {"findings": findings[:3], "passed": passed, "failed": failed, "errors": errors, "figures": number}
        return nb, resources


class Origin(Preprocessor):
    """What the page was made from, and the command that makes it again; nothing that changes from run to run."""

    def preprocess(self, nb, resources):
        name = resources["metadata"]["name"]
        listed = nb.metadata.get("clt", {})
        listed = dict(listed) if isinstance(listed, dict) else {}
        cells = [[c.cell_type, c.source] for c in nb.cells]
        outputs = [c.get("outputs", []) for c in nb.cells]
        listed.update({
            "schema": "clt-provenance/1",
            "notebook": name + ".ipynb",
            "kernel": nb.metadata.get("kernelspec", {}).get("display_name", ""),
            "cells_sha256": _sha256(cells),
            "outputs_sha256": _sha256(outputs),
            "command": f"clt nb run -report {shlex.quote(name + '.ipynb')}",
        })
        resources["should_sanitize_html"] = False  # Foreign does it; nbconvert's own way would remove our pictures
        resources["provenance"] = {k: v for k, v in sorted(listed.items()) if v != ""}
        return nb, resources


def _sha256(value):
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


class Outline(Preprocessor):
    """Takes the title from the first h1, gives h2 and h3 anchors, and lists them in resources["outline"]."""

    def preprocess(self, nb, resources):
        taken, outline, title = set(), [], str(nb.metadata.get("title") or "")
        for cell in nb.cells:
            if cell.cell_type != "markdown":
                continue
            fences = [m.span() for m in _FENCE.finditer(cell.source)]

            def anchor(m):
                nonlocal title
                if any(a <= m.start() < b for a, b in fences):
                    return m.group(0)
                level, text = len(m.group(1)), re.sub(r"<[^>]+>", "", m.group(2)).replace("`", "").replace("*", "")
                if level == 1:
                    if title and title.strip() != html.unescape(text).strip():
                        return m.group(0)
                    title = html.unescape(text)
                    return ""  # the template has it, above the summary
                name = slug(text, taken)
                outline.append({"level": level, "text": html.unescape(text), "name": name})
                return f'<a id="{name}"></a>\n\n{m.group(0)}'

            cell.source = _HEADING.sub(anchor, cell.source)
        resources["outline"] = outline
        resources["title"] = title or resources["metadata"]["name"]
        resources["code_css"] = HtmlFormatter(style="default").get_style_defs(".highlight")
        return nb, resources


def configure(config):
    """Sets nbconvert's HTML exporter up to write our page; config is traitlets' Config."""
    config.HTMLExporter.template_name = "clt"
    config.HTMLExporter.extra_template_basedirs = [str(pathlib.Path(__file__).parent)]
    config.HTMLExporter.optimistic_validation = True  # once in the end, not after each step
    config.HTMLExporter.filters = {"inert": inert}
    config.HTMLExporter.preprocessors = [Origin, Foreign, MathML, Outline, Figures, Policy]
    return config
