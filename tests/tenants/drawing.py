"""Pictures to upload."""

from __future__ import annotations

from io import BytesIO

from PIL import Image as Pillow
from PIL import ImageDraw


def drawn(
    kind: str = "PNG",
    *,
    mode: str = "RGBA",
    width: int = 900,
    height: int = 300,
    size: int = 100,
    colour: tuple[int, int, int] = (11, 110, 79),
    **options: object,
) -> bytes:
    """Draw a disc on nothing, or on white where there is no transparency; ``size`` 0 draws none."""
    picture = Pillow.new(mode, (width, height), (0, 0, 0, 0) if mode == "RGBA" else "white")
    fill = (*colour, 255) if mode == "RGBA" else colour
    if size:
        ImageDraw.Draw(picture).ellipse((50, 50, 50 + 2 * size, 50 + size), fill=fill)
    written = BytesIO()
    picture.save(written, kind, **options)
    return written.getvalue()
