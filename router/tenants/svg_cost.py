"""What an SVG costs the browsers that draw it: a small file can ask for billions of shapes.

An element may be drawn again by reference (``<use>``), and by reference from within what is referred to:
thirty lines that use the one before twice each are drawn a thousand million times. Patterns, masks, clips and
markers nest alike, and what is inherited (``fill``, ``stroke``, ``marker``) counts for each that inherits it.
So a drawing is weighed as if all were written out, each reference at least as often as a browser could follow
it, and a filter as much as many shapes, for it goes over pixels again and again.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections import defaultdict
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote
from xml.parsers import expat

from router.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 50_000
"""Shapes that a drawing comes to when all is written out."""

_NESTED: Final = 8
"""References within references; drawing programs write two or three."""
_FILTER_STEP: Final = 250
_PIXELS_A_SHAPE: Final = 1_000
_LEAVES: Final = frozenset({"linearGradient", "radialGradient"})  # whatever they refer to is no drawing
_INHERITED: Final = frozenset({"fill", "stroke", "marker", "marker-start", "marker-mid", "marker-end"})
# Each begins where it can, and has one way to match: else 96 KiB of one character take minutes.
_REFERENCE: Final = re.compile(r"""url\(\s*(?:["']\s*)?#([^"')]*)""", re.IGNORECASE)
_DECLARATION: Final = re.compile(r"(?<![-\w])([-\w]+)\s*:([^;]*)")
_RULE: Final = re.compile(r"(?<![^{}])([^{}]*)\{([^{}]*)\}")
_CLASS: Final = re.compile(r"\.([-\w]+)")
_PLAIN: Final = re.compile(r"[-\w.#*]+")
_COMMENT: Final = re.compile(r"/\*.*?(?:\*/|$)", re.DOTALL)
_COORDINATES: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
_DATA: Final = re.compile(r"data:[^,]*;base64,(.*)", re.DOTALL | re.IGNORECASE)
_OPAQUE: Final = re.compile(r"\\|var\(", re.IGNORECASE)


@dataclass(slots=True)
class _Element:
    """One element, and what it refers to: drawn once, or once by each that inherits it."""

    name: str
    attributes: dict[str, str]
    children: list[_Element] = field(default_factory=list)
    text: str = ""
    once: list[str] = field(default_factory=list)
    inherited: list[str] = field(default_factory=list)


def check_cost(svg: bytes) -> None:
    """Refuse a drawing that would keep browsers busy; ``svg`` is well-formed and clean.

    Raises ``BadInput`` with ``svg_too_costly``, or ``picture_too_large`` for a picture in it.
    """
    root = _read(svg)
    elements = list(_all(root))
    rules = list(_rules(elements))
    for element in elements:
        _refer(element, rules)
    named = {element.attributes["id"]: element for element in elements if "id" in element.attributes}
    if _Weighing(named).weigh(root) > MOST:
        raise _too_costly("it draws the same shapes over and over")


class _Weighing:
    def __init__(self, named: dict[str, _Element]) -> None:
        self._named = named
        self._known: dict[str, int] = {}
        self._open: list[str] = []

    def weigh(self, element: _Element) -> int:
        """Count the shapes of an element with all in it, and all that it refers to."""
        weight = _own_weight(element)
        if element.name not in _LEAVES:
            for child in element.children:
                weight += self.weigh(child)
            for name in element.once:
                weight += self._referred(name)
            for name in element.inherited:
                weight += self._referred(name) * min(weight, MOST)
        return min(weight, MOST + 1)  # so that no number grows without bound either

    def _referred(self, name: str) -> int:
        if name not in self._named:
            return 0
        if name not in self._known:
            if name in self._open:
                raise _too_costly("a part of it refers to itself")
            if len(self._open) == _NESTED:
                raise _too_costly("its references lead on to others too often")
            self._open.append(name)
            self._known[name] = self.weigh(self._named[name])
            self._open.pop()
        return self._known[name]


def _own_weight(element: _Element) -> int:
    if element.name.startswith("fe"):
        return _FILTER_STEP
    if element.name == "image":
        return 1 + _pixels(element.attributes.get("href", "")) // _PIXELS_A_SHAPE
    return 1


def _refer(element: _Element, rules: list[tuple[frozenset[str], str]]) -> None:
    """Collect what an element refers to, by its attributes and by the rules that may be about it."""
    attributes, classes = element.attributes, set(element.attributes.get("class", "").split())
    if "href" in attributes and element.name != "a":
        element.once.append(unquote(attributes["href"].strip().removeprefix("#")))
    styles = [attributes.get("style", ""), *(style for about, style in rules if not about or about & classes)]
    said = [(name, value) for name, value in attributes.items() if name != "style"]
    for style in styles:
        said += _DECLARATION.findall(_readable(style))
    for name, value in said:
        found = [unquote(each.strip()) for each in _REFERENCE.findall(value)]
        if name.lower().startswith("marker"):  # one is drawn at each corner
            found *= (
                1 + len(_COORDINATES.findall(attributes.get("d", "") + attributes.get("points", ""))) // 2
            )
        (element.inherited if name.lower() in _INHERITED else element.once).extend(found)


def _rules(elements: list[_Element]) -> Iterator[tuple[frozenset[str], str]]:
    """Read the style sheets' rules that refer to something: the classes each is about, or none for all."""
    for element in elements:
        if element.name == "style":
            for selectors, style in _RULE.findall(_readable(element.text)):
                if _REFERENCE.search(style):
                    parts = [_classes(each) for each in selectors.split(",")]
                    yield (frozenset().union(*parts) if all(parts) else frozenset()), style


def _classes(selector: str) -> frozenset[str]:
    """Say which classes a selector asks of the element itself, or none where it may be about any."""
    last = (re.split(r"[\s>+~]+", selector.strip()) or [""])[-1]
    return frozenset(_CLASS.findall(last)) if _PLAIN.fullmatch(last) else frozenset()


def _readable(style: str) -> str:
    plain = _COMMENT.sub(" ", style)
    if _OPAQUE.search(plain) and "url" in plain.lower():
        raise _too_costly("its style sheet hides what it refers to")
    return plain


def _pixels(address: str) -> int:
    """Count the pixels of a picture within the drawing, without decoding it."""
    from PIL import Image as Pillow  # noqa: PLC0415 - slow to import, and few commands need it

    found = _DATA.match(address.strip())
    if found is None:
        return 0
    try:
        with Pillow.open(BytesIO(b64decode(unquote(found[1]))), formats=("PNG", "JPEG", "WEBP")) as opened:
            return opened.width * opened.height
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as fault:
        raise BadInput("picture_too_large", "A picture within the SVG has far too many pixels.") from fault
    except (OSError, SyntaxError, ValueError, EOFError):  # no picture to a browser either
        return 0


def _read(svg: bytes) -> _Element:
    top = _Element("", {})
    path = [top]
    texts: defaultdict[int, list[str]] = defaultdict(list)

    def start(name: str, attributes: dict[str, str]) -> None:
        plain = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        element = _Element(name.rpartition(" ")[2], plain)
        path[-1].children.append(element)
        path.append(element)

    def text(data: str) -> None:
        texts[id(path[-1])].append(data)

    def end(_name: str) -> None:
        element = path.pop()
        element.text = "".join(texts.pop(id(element), ()))

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    parser.Parse(svg, True)  # noqa: FBT003 - expat takes no keywords
    return top.children[0]


def _all(element: _Element) -> Iterator[_Element]:
    waiting = [element]
    while waiting:
        yield (one := waiting.pop())
        waiting += one.children


def _too_costly(why: str) -> BadInput:
    sentence = f"This SVG would keep browsers busy: {why}. Flatten it when you export it, or upload a PNG."
    return BadInput("svg_too_costly", sentence)
