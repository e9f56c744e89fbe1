"""nbconvert preprocessors for the clt template: mathematics as MathML, an outline, colours for code."""
import html
import re

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
        if m.group(2):
            return convert(m.group(2).strip(), display="block")
        return convert(m.group(3))

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


class Outline(Preprocessor):
    """Takes the title from the first h1, gives h2 and h3 anchors, and lists them in resources["outline"]."""

    def preprocess(self, nb, resources):
        taken, outline, title = set(), [], nb.metadata.get("title", "")
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
                    title = title or text
                    return m.group(0)
                name = slug(text, taken)
                outline.append({"level": level, "text": html.unescape(text), "name": name})
                return f'<a id="{name}"></a>\n\n{m.group(0)}'

            cell.source = _HEADING.sub(anchor, cell.source)
        resources["outline"] = outline
        resources["title"] = title or resources["metadata"]["name"]
        resources["code_css"] = HtmlFormatter(style="default").get_style_defs(".highlight")
        return nb, resources
