"""What may stand on a page that shows a notebook of anybody: a list of what is allowed, in tags and in scripts.

No parser guesses as a browser would: a tag that is not written exactly as on the list is refused. There are no comments and
no elements on it whose content a browser reads in another way, so that the text between tags is text to every reader. What
slipped through all the same could not run: the page's policy names each of its scripts by hash.
"""
import base64
import hashlib
import json
import pathlib
import re

_HERE = pathlib.Path(__file__).parent / "clt"
# The two scripts that our outputs have, in all their versions: they put a sandboxed frame in place of the picture. Any other is
# foreign.
_SWAP = set((_HERE / "swap.sha256").read_text().split())
_DATA = json.JSONDecoder()

_TAGS = ("a|abbr|b|bdi|blockquote|br|caption|center|code|col|colgroup|dd|del|details|div|dl|dt|em|figcaption|figure|h[1-6]|hr|i|img|ins|kbd|"
         "li|mark|ol|p|pre|progress|s|section|small|span|strong|sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|u|ul|wbr")
_MATH = ("math|maction|menclose|merror|mfenced|mfrac|mi|mmultiscripts|mn|mo|mover|mpadded|mphantom|mprescripts|mroot|mrow|mspace|msqrt|mstyle|"
         "msub|msubsup|msup|mtable|mtd|mtext|mtr|munder|munderover|none|semantics")
_PICTURE = r"data:image/(?:svg\+xml|png|jpeg|gif);base64,[A-Za-z0-9+/=]*"
# in an attribute no quote of its kind and no angle bracket
_ATTRIBUTES = (r"(?:(?:class|id|title|alt|width|height|align|valign|border|colspan|rowspan|scope|lang|dir|role|max|value|start|aria-[a-z]+|data-[a-z]+)"
               r"=(?:\"[^\"<>]*\"|'[^'<>]*')|open|hidden|"
               rf"href=(?:\"#[^\"<>]*\"|\"https?://[^\"<>]*\"|'https?://[^'<>]*')|src=(?:\"{_PICTURE}\"|'{_PICTURE}')|"
               r"style=(?:\"(?P<style>[^\"<>]*)\"|'(?P<style2>[^'<>]*)'))")
_HTML = re.compile(rf"</?(?P<name>{_TAGS})(?P<attributes>(?:\s+{_ATTRIBUTES.replace('(?P<style>', '(?:').replace('(?P<style2>', '(?:')})*)\s*/?>", re.I | re.A)
_STYLE = re.compile(r"\sstyle=(?:\"([^\"]*)\"|'([^']*)')", re.I)
_LOADS = re.compile(r"url\s*\(|expression|@import|position\s*:\s*(?:fixed|sticky)|\\|/\*|&", re.I)
_MATHML = re.compile(rf"</?(?:{_MATH})(?:\s+(?:xmlns|display|[a-z]*(?:variant|align|lines|spacing|size|color|background|width|height|depth|space|style|notation)"
                     r"|stretchy|fence|separator|form|accent|accentunder|largeop|movablelimits|linebreak|linethickness|symmetric)=\"[^\"<>&:]*\"|"
                     r"\s+xmlns=\"http://www\.w3\.org/1998/Math/MathML\")*\s*/?>", re.A)
# as Markdown writes them: links within the page or to a file beside it, too
_LINK = re.compile(r"<a(?:\s+(?:class|id|title)=\"[^\"<>]*\")*\s+href=\"(?:#[^\"<>]*|https?://[^\"<>]*|mailto:[^\"<>]*|(?!//)(?:[^:\"<>&]|&amp;)*)\""
                   r"(?:\s+(?:class|id|title)=\"[^\"<>]*\")*\s*>", re.A)
_ALT = re.compile(r"<img\s[^<>]*?alt=\"([^\"<>]*)\"[^<>]*>", re.A)
_BEGINS = re.compile(r"<(?=[A-Za-z/!?])")
_CONTAINERS = {"div", "details", "figure", "section", "table", "ol", "ul", "dl", "pre", "blockquote"}


def _tag(text, at):
    """The tag of the list that begins there, or None."""
    m = _HTML.match(text, at)
    if m and any(_LOADS.search(a or b) for a, b in _STYLE.findall(m.group("attributes"))):
        return None
    return m


def refused(text):
    """The beginning of the first thing in the HTML of an output that is not on the list; "" if all is."""
    depth = dict.fromkeys(_CONTAINERS, 0)
    for begin in _BEGINS.finditer(text):
        m = _tag(text, begin.start())
        if not m:
            return text[begin.start():begin.start() + 80]
        name = m.group("name").lower()
        if name in depth:
            depth[name] += -1 if text[begin.end()] == "/" else 1
            if depth[name] < 0:
                return m.group(0)  # it would close what holds the output
    return next((f"<{name}> without an end" for name, n in depth.items() if n), "")


def _is_swap(script):
    """Is it our script, called with texts and nothing else?"""
    cut = script.find('("')  # the first text; the script itself has none in double quotes
    if cut < 0 or hashlib.sha256(script[:cut].encode()).hexdigest() not in _SWAP or "<" in script[cut:]:
        return False
    return _texts(script[cut:]) is not None


def _texts(call):
    """The texts of a call such as ("a","b"); None if it is anything else."""
    texts, end = [], 0
    while True:
        try:
            text, end = _DATA.raw_decode(call, end + 1)
        except ValueError:
            return None
        if not isinstance(text, str):
            return None
        texts.append(text)
        if call[end:].strip() == ");":
            return texts
        if call[end:end + 1] != ",":
            return None


_SCRIPT = re.compile(r"<script>(.*?)</script>", re.S)


def harmless(text, ours):
    """Can the HTML of an output stay as it is? Ours may have our scripts."""
    strange = []

    def one(m):
        if not (ours and _is_swap(m.group(1))):
            strange.append(m.group(1))
        return ""

    return refused(_SCRIPT.sub(one, text)) == "" and not strange


def inert(rendered):
    """HTML that Markdown became, with whatever is not on the list as text; a link to elsewhere leads nowhere."""

    def one(m):
        at = m.start()
        if _tag(rendered, at) or _MATHML.match(rendered, at) or _LINK.match(rendered, at):
            return "<"
        return "&lt;"

    rendered = _ALT.sub(lambda m: m.group(0) if _tag(rendered, m.start()) else f"({m.group(1)})", rendered)
    rendered = re.sub(r"<a\s[^<>]*>", lambda m: m.group(0) if _LINK.fullmatch(m.group(0)) or _HTML.fullmatch(m.group(0)) else "<a>", rendered, flags=re.A)
    return _BEGINS.sub(one, rendered)


def _named(script):
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def policy(outputs, own):
    """The scripts of a page, by hash: its own, those of its outputs, and those of the frames that these make, which inherit
    the policy. Nothing else runs, whatever stands on the page."""
    names = {_named(own)}
    for text in outputs:
        for script in _SCRIPT.findall(text):
            names.add(_named(script))
            for part in _texts(script[script.find('("'):]) or []:
                names.update(_named(inner) for inner in re.findall(r"<script>(.*?)</script>", part, re.S))
    return " ".join(sorted(names))
