"""SVG drawings that keep browsers busy, and ones that look alike and are as drawing programs write them."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from typing import Final

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">'
    "{}</svg>"
)
_PATH = '<path d="M0 0h9v9z"/>'


def _chain(levels: int, each: str, *, wrap: str = "g") -> str:
    """Name the first part l0; of those after it each holds what ``each`` says of the one before (``@``)."""
    parts = [f'<{wrap} id="l0">{_PATH}</{wrap}>']
    parts += [f'<{wrap} id="l{n}">{each.replace("@", f"l{n - 1}")}</{wrap}>' for n in range(1, levels)]
    return f"<defs>{''.join(parts)}</defs>"


def _styled(selector: str, sheet: str = "{}") -> str:
    """Have a style sheet fill the parts of each pattern by the one before."""
    rules = "".join(f"{selector.format(n)}{{fill:url(#l{n})}}" for n in range(8))
    parts = [f'<pattern id="l0">{_PATH}</pattern>']
    for n in range(1, 8):
        drawn = f'<path class="c{n - 1}"/>' * 10
        parts.append(f'<pattern id="l{n}">{drawn}</pattern>')
    return f"<style>{sheet.format(rules)}</style>{''.join(parts)}" + '<path class="c7"/>'


def _png(width: int, height: int) -> str:
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    body = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return f'<image href="data:image/png;base64,{b64encode(body).decode()}"/>'


_TWICE = '<use href="#@"/><use href="#@"/>'
_BLUR = '<filter id="f"><feGaussianBlur stdDeviation="3"/></filter>'
_MARKED = f'<marker id="m">{_PATH * 20}</marker>'
_ZIGZAG = "M0 0" + "L1 1L2 2" * 2_000

COSTLY: Final = {
    "use in use": _chain(8, '<use href="#@"/>' * 10) + '<use href="#l7"/>',
    "use in use, deep": _chain(30, _TWICE) + '<use href="#l29"/>',
    "xlink": _chain(8, '<use xlink:href="#@"/>' * 10) + '<use xlink:href="#l7"/>',
    "escaped name": _chain(8, '<use href="#@"/>' * 10).replace("#l", "#%6c") + '<use href="#l7"/>',
    "symbols": _chain(8, '<use href="#@"/>' * 10, wrap="symbol") + '<use href="#l7"/>',
    "many of many": f'<g id="a">{_PATH * 900}</g>' + '<use href="#a"/>' * 900,
    "itself": '<g id="a"><use href="#a"/></g>',
    "one another": '<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>',
    "patterns": _chain(8, '<path fill="url(#@)"/>' * 10, wrap="pattern") + '<path fill="url(#l7)"/>',
    "patterns in styles": _chain(8, "<path style='fill : url( \"#@\" )'/>" * 10, wrap="pattern")
    + '<path style="stroke:url(#l7)"/>',
    "patterns, inherited": _chain(8, f'<g fill="url(#@)">{_PATH * 10}</g>', wrap="pattern")
    + '<path fill="url(#l7)"/>',
    "masks": _chain(8, '<path mask="url(#@)"/>' * 10, wrap="mask") + '<path mask="url(#l7)"/>',
    "clips": _chain(8, '<path clip-path="url(#@)"/>' * 10, wrap="clipPath") + '<path clip-path="url(#l7)"/>',
    "style sheet": _styled(".c{0}"),
    "style sheet, within": _styled("svg .x>.c{0}"),
    "style sheet, of names": _styled("#c{0},.unused"),
    "style sheet for all": f'<style>*{{fill:url(#p)}}</style><pattern id="q">{_PATH * 500}</pattern>'
    f'<pattern id="p"><use href="#q"/></pattern>{_PATH * 500}',
    "style sheet for what is within": f'<style>.x path{{fill:url(#p)}}</style><pattern id="p">{_PATH * 500}'
    f'</pattern><g class="x">{_PATH * 500}</g>',
    "hidden reference": f"<style>.a{{--x:url(#p);fill:var(--x)}}</style>{_PATH}",
    "style sheet for a medium": _styled("path", "@media all{{{}}}"),
    "markers": f'<defs>{_MARKED}</defs><path marker-mid="url(#m)" d="{_ZIGZAG}"/>',
    "filters": _BLUR + '<path filter="url(#f)" d="M0 0"/>' * 300,
    "large picture": _png(9_000, 9_000),
    "same picture": f'<g id="a">{_png(2_000, 2_000)}</g>' + '<use href="#a"/>' * 200,
}

SOUND: Final = {
    "a symbol, used": f'<symbol id="a">{_PATH * 20}</symbol>' + '<use href="#a"/>' * 20,
    "use in use": _chain(4, _TWICE) + '<use href="#l3"/>',
    "gradients by class": "<style>.a{fill:url(#g)}.b,.c{fill:url(#h)}</style>"
    '<linearGradient id="g"><stop offset="0"/></linearGradient><linearGradient id="h" href="#g"/>'
    + '<path class="a" d="M0 0h9"/><path class="b c" d="M0 0h9"/>'
    * 400,
    "gradient of all": f'<radialGradient id="g"><stop/></radialGradient><g fill="url(#g)">{_PATH * 900}</g>',
    "a clip around all": f'<clipPath id="c">{_PATH}</clipPath><g clip-path="url(#c)">{_PATH * 900}</g>',
    "a shadow": _BLUR + f'<g filter="url(#f)">{_PATH * 300}</g>',
    "arrows": f'<marker id="m">{_PATH}</marker>' + '<path marker-end="url(#m)" d="M0 0L1 1"/>' * 50,
    "a picture": _png(400, 400),
    "dark mode": "<style>.a{fill:url(#g)}@media (prefers-color-scheme:dark){.a{fill:#fff}}</style>"
    f'<linearGradient id="g"><stop offset="0"/></linearGradient>{_PATH * 90}',
    "style without references": r'<style>text{font-family:"A\26 B";--c:1}</style>' + _PATH,
    "a name that is not there": '<use href="#nowhere"/><path fill="url(#nowhere)"/>',
}


def drawing(inner: str) -> bytes:
    """Put a drawing around its parts."""
    return _SVG.format(inner).encode()
