"""Logos and favicons: what an operator uploads, judged, and made anew before anybody's browser gets it.

A PNG, JPEG or WebP is bounded before it is decoded and written again from its pixels, so that nothing of the
upload is left but what can be seen: no metadata, no second file hidden behind the first. An SVG is a document
that can hold scripts and addresses, so it is cleaned, and weighed by what it costs to draw (svg_cost.py); and
it is served where nothing in it could run anyway (portal/images.py).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final, Literal
from xml.parsers import expat

from router.errors import BadInput
from router.tenants.svg_cost import check_cost
from router.tenants.tenant import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Pixels

PictureKind = Literal["logo", "favicon"]

MAX_UPLOAD: Final = 2 << 20
"""Octets of an upload."""
MAX_PIXELS: Final = 16_000_000
"""Width by height before decoding: 64 MB of memory for a moment."""
MAX_SCANS: Final = 32
"""Passes in which a JPEG may be drawn; usual are one, or ten. Each costs as much as all its pixels, and there
is room for thousands of them in an upload."""
MAX_SVG: Final = 96 << 10
"""Octets of an SVG, before and after it is cleaned."""

_BOX: Final[dict[PictureKind, int]] = {"logo": 512, "favicon": 64}
_SCAN: Final = b"\xff\xda"  # never inside a scan, where 0xff is always followed by zero (ITU-T T.81, B.1.1.5)
_SVG_DEPTH: Final = 64
_SVG_ELEMENTS: Final = 5_000
_LIGHT: Final = 0.8
"""Mean luminance from which a picture is taken to be made for dark grounds."""
_PHOTO: Final = 48 << 10
"""Octets from which a picture without transparency is kept as JPEG, if that is smaller."""
_LENGTH: Final = re.compile(r"\s*([0-9]*\.?[0-9]+)(?:px|pt|mm|cm|in|em)?\s*")
_NUMBER: Final = re.compile(r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?")
_PAINT: Final = re.compile(r"""(?:fill|stroke|stop-color)\s*[=:]\s*["']?\s*(#[0-9a-fA-F]{3,6}|[a-zA-Z]+)""")
# The filter breaks animations and leaves their values, which may be anything: better said than served.
_MOVING: Final = frozenset(
    {"animate", "animateColor", "animateMotion", "animateTransform", "discard", "mpath", "set"}
)
_NO_PAINT: Final = frozenset({"none", "transparent", "inherit", "url"})
_READABLE: Final = "A {} is a PNG, JPEG, WebP or SVG file; this one cannot be read as any of them."


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is stored and served."""

    image: Image
    body: bytes = field(repr=False)


def judge_picture(upload: bytes, kind: PictureKind) -> Picture:
    """Make a picture to be served of an upload; takes up to a second of CPU, so not on the event loop.

    Raises ``BadInput`` with ``picture_too_large``, ``bad_picture``, ``bad_svg`` or ``svg_too_costly``.
    """
    if len(upload) > MAX_UPLOAD:
        raise BadInput("picture_too_large", f"A {kind} has {MAX_UPLOAD >> 20} MiB at most.")
    if upload.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return _vector(upload, kind)
    return _raster(upload, kind)


def _raster(upload: bytes, kind: PictureKind) -> Picture:
    from PIL import Image as Pillow  # noqa: PLC0415 - slow to import, and few commands need it
    from PIL import ImageOps  # noqa: PLC0415 - the same

    try:
        with Pillow.open(BytesIO(upload), formats=("PNG", "JPEG", "WEBP")) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise BadInput(
                    "picture_too_large", f"A {kind} has {MAX_PIXELS // 1_000_000} megapixels at most."
                )
            if opened.format == "JPEG" and upload.count(_SCAN) > MAX_SCANS:
                raise BadInput("bad_picture", f"This {kind} is drawn in too many passes: save it as a PNG.")
            has_alpha = opened.has_transparency_data
            pixels = ImageOps.exif_transpose(opened).convert("RGBA" if has_alpha else "RGB")
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as fault:
        raise BadInput("picture_too_large", f"This {kind} has far too many pixels.") from fault
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as fault:  # Pillow's for what is broken
        raise BadInput("bad_picture", _READABLE.format(kind)) from fault
    box = pixels.getbbox()
    if has_alpha and box is None:
        raise BadInput("bad_picture", f"This {kind} is transparent all over.")
    if has_alpha and kind == "logo":
        pixels = pixels.crop(box)  # what is empty around it would only make it smaller on the page
    pixels.thumbnail((_BOX[kind], _BOX[kind]), Pillow.Resampling.LANCZOS)
    return _written(pixels, light=has_alpha and _lightness(pixels) > _LIGHT)


def _written(pixels: Pixels, *, light: bool) -> Picture:
    png = _encoded(pixels, "PNG", optimize=True)
    if len(png) > _PHOTO and pixels.mode == "RGB":
        jpeg = _encoded(pixels, "JPEG", quality=88, optimize=True, progressive=True)
        if len(jpeg) < len(png):
            return _picture(jpeg, "image/jpeg", *pixels.size, light=light)
    return _picture(png, "image/png", *pixels.size, light=light)


def _encoded(pixels: Pixels, kind: str, **options: object) -> bytes:
    written = BytesIO()
    pixels.info.clear()  # what Pillow would carry over: profiles, comments
    pixels.save(written, kind, **options)
    return written.getvalue()


def _lightness(pixels: Pixels) -> float:
    """Take the mean lightness, 0 to 1, of what is opaque."""
    from PIL import ImageStat  # noqa: PLC0415 - see above

    alpha = pixels.getchannel("A").point(lambda value: 255 if value > 127 else 0)  # noqa: PLR2004 - half
    found = ImageStat.Stat(pixels.convert("L"), alpha)
    return float(found.mean[0]) / 255 if found.count[0] else 0.0


def _vector(upload: bytes, kind: PictureKind) -> Picture:
    from py_svg_hush import filter_svg  # noqa: PLC0415 - see above

    if len(upload) > MAX_SVG:
        raise BadInput("picture_too_large", f"An SVG has {MAX_SVG >> 10} KiB at most.")
    width, height = _measured(upload, kind)
    try:
        clean = filter_svg(upload, keep_data_url_mime_types={"image": ["png", "jpeg", "webp"]})
    except ValueError as fault:
        raise BadInput("bad_svg", _READABLE.format(kind)) from fault
    if len(clean) > 2 * MAX_SVG:
        raise BadInput("picture_too_large", "This SVG grows too large when it is cleaned.")
    check_cost(clean)
    paints = {paint.lower() for paint in _PAINT.findall(clean.decode("utf-8", "replace"))} - _NO_PAINT
    light = bool(paints) and all(_is_light(paint) for paint in paints)
    return _picture(clean, "image/svg+xml", width, height, light=light)


def _measured(upload: bytes, kind: PictureKind) -> tuple[int, int]:
    """Read an SVG's size, and refuse what would be costly to clean. Raises ``BadInput("bad_svg")``."""
    reader = _SvgReader()
    try:
        reader.read(upload)
    except expat.ExpatError as fault:
        raise BadInput("bad_svg", _READABLE.format(kind)) from fault
    size = _view_box(reader.root) or _lengths(reader.root)
    if size is None:
        raise BadInput("bad_svg", "The SVG does not say its size: give its <svg> element a viewBox.")
    scale = _BOX[kind] / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


class _SvgReader:
    """Reads an SVG once, for the attributes of its root and the size of the tree."""

    def __init__(self) -> None:
        self.root: dict[str, str] = {}
        self._depth = self._elements = 0

    def read(self, upload: bytes) -> None:
        """Read it all. Raises ``ExpatError``, and ``BadInput("bad_svg")``."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.EntityDeclHandler = self._entity
        parser.Parse(upload, True)  # noqa: FBT003 - expat takes no keywords

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._elements:
            if name != "http://www.w3.org/2000/svg svg":
                raise BadInput("bad_svg", "The file is XML, but no SVG.")
            self.root = attributes
        if name.rpartition(" ")[2] in _MOVING:
            raise BadInput("bad_svg", "The SVG is animated: a logo stands still.")
        self._elements += 1
        self._depth += 1
        if self._depth > _SVG_DEPTH or self._elements > _SVG_ELEMENTS:
            raise BadInput("bad_svg", "The SVG is too complicated: simplify it, or upload a PNG.")

    def _end(self, _name: str) -> None:
        self._depth -= 1

    def _entity(self, *_declared: object) -> None:
        raise BadInput("bad_svg", "The SVG declares entities: export it as plain SVG.")


def _view_box(root: dict[str, str]) -> tuple[float, float] | None:
    numbers = [float(number) for number in _NUMBER.findall(root.get("viewBox", ""))]
    return _sound(*numbers[2:]) if len(numbers) == 4 else None  # noqa: PLR2004 - x, y, width, height


def _lengths(root: dict[str, str]) -> tuple[float, float] | None:
    found = [_LENGTH.fullmatch(root.get(name, "")) for name in ("width", "height")]
    width, height = (float(match[1]) if match else 0.0 for match in found)
    return _sound(width, height)


def _sound(width: float, height: float) -> tuple[float, float] | None:
    """Sizes that a page can be laid out by: neither nothing, nor endless, nor a hair."""
    fits = 0 < width < 1e6 and 0 < height < 1e6 and 1 / 20 < width / height < 20  # noqa: PLR2004 - stated above
    return (width, height) if fits else None


def _is_light(paint: str) -> bool:
    if paint == "white":
        return True
    digits = paint[1:]
    if not paint.startswith("#") or len(digits) not in (3, 6):
        return False
    size = len(digits) // 3
    top = 16**size - 1
    return all(int(digits[at : at + size], 16) / top > _LIGHT for at in range(0, 3 * size, size))


def _picture(body: bytes, content_type: str, width: int, height: int, *, light: bool) -> Picture:
    fingerprint = hashlib.sha256(body).hexdigest()[:16]
    return Picture(Image(fingerprint, content_type, width, height, light), body)
