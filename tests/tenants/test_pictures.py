from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from router.errors import BadInput
from router.tenants.pictures import MAX_SCANS, MAX_SVG, MAX_UPLOAD, judge_picture
from tests.tenants.drawing import drawn

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 10">{}</svg>'


def code_of(upload: bytes) -> str:
    """Upload what is refused; the code."""
    with pytest.raises(BadInput) as caught:
        judge_picture(upload, "logo")
    return caught.value.code


def test_a_jpeg_is_not_drawn_a_thousand_times() -> None:
    """A progressive JPEG is a picture; one whose last pass is repeated, each time at full cost, is none."""
    upload = drawn("JPEG", mode="RGB", progressive=True)
    assert judge_picture(upload, "logo").image.width == 512
    last = upload[upload.rindex(b"\xff\xda") : -2]
    assert code_of(upload[:-2] + last * MAX_SCANS + upload[-2:]) == "bad_picture"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_made_anew_and_smaller(kind: str) -> None:
    """What is served is a PNG within 512 pixels, whatever was uploaded; its address is its content's."""
    picture = judge_picture(drawn(kind, mode="RGB"), "logo")
    assert (picture.image.content_type, picture.image.width, picture.image.height) == ("image/png", 512, 171)
    assert judge_picture(drawn(kind, mode="RGB"), "logo") == picture
    assert judge_picture(drawn(kind, mode="RGB", size=50), "logo").image != picture.image


def test_what_is_empty_around_a_logo_goes() -> None:
    """A logo in a large transparent frame is as large on the page as one without."""
    image = judge_picture(drawn(size=100), "logo").image
    assert (image.width, image.height) == (201, 101)


def test_a_favicon_is_small() -> None:
    """64 pixels are enough for a tab, and its margins stay."""
    image = judge_picture(drawn(width=300, height=300), "favicon").image
    assert (image.width, image.height) == (64, 64)


def test_nothing_of_the_upload_is_left_but_what_is_seen() -> None:
    """Comments, positions and whatever stands behind the picture are not served."""
    info = PngInfo()
    info.add_text("Comment", "taken at home")
    exif = Pillow.Exif()
    exif[0x010E] = "taken at home"
    for upload in (
        drawn(pnginfo=info) + b"<script>taken at home</script>",
        drawn("JPEG", mode="RGB", exif=exif, comment=b"taken at home"),
        drawn("WEBP", exif=exif),
    ):
        assert b"taken at home" in upload
        assert b"taken at home" not in judge_picture(upload, "logo").body


def test_a_photograph_stands_upright() -> None:
    """A camera's note of how it was held is obeyed before it is dropped."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    image = judge_picture(drawn("JPEG", mode="RGB", exif=exif), "logo").image
    assert image.height > image.width


def test_a_large_photograph_is_a_jpeg() -> None:
    """What a PNG would make heavy is sent as JPEG."""
    noise = Pillow.effect_noise((512, 512), 80).convert("RGB")
    written = BytesIO()
    noise.save(written, "PNG")
    picture = judge_picture(written.getvalue(), "logo")
    assert picture.image.content_type == "image/jpeg"
    assert Pillow.open(BytesIO(picture.body)).format == "JPEG"


@pytest.mark.parametrize(
    ("colour", "light"), [((255, 255, 255), True), ((240, 240, 220), True), ((11, 110, 79), False)]
)
def test_a_logo_for_dark_grounds_is_known(colour: tuple[int, int, int], light: bool) -> None:  # noqa: FBT001 - a table
    """White letters on nothing are shown on a dark ground; a picture with a ground of its own brings that."""
    assert judge_picture(drawn(colour=colour), "logo").image.light is light
    assert judge_picture(drawn(mode="RGB", colour=colour), "logo").image.light is False
    paint = "#{:02x}{:02x}{:02x}".format(*colour)
    vector = SVG.format(f'<path d="M0 0h9v9z" fill="{paint}"/><path d="M1 1" style="fill: none"/>').encode()
    assert judge_picture(vector, "logo").image.light is light


def _png(width: int, height: int) -> bytes:
    """Claim a size in a PNG of a few octets."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


@pytest.mark.parametrize(
    ("upload", "code"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"\0" * MAX_UPLOAD, "picture_too_large"),
        (_png(5000, 5000), "picture_too_large"),
        (_png(50_000, 50_000), "picture_too_large"),
        (_png(2**31 - 1, 2**31 - 1), "picture_too_large"),
        (_png(10, 10), "bad_picture"),
        (drawn()[:500], "bad_picture"),
        (b"GIF89a\x01\x00\x01\x00\x00\x00\x00", "bad_picture"),
        (b"%PDF-1.7", "bad_picture"),
        (b"\0", "bad_picture"),
        (drawn(size=0), "bad_picture"),
    ],
    ids=["octets", "pixels", "bomb", "huge", "empty", "cut", "gif", "pdf", "nul", "nothing"],
)
def test_what_is_no_picture_is_refused(upload: bytes, code: str) -> None:
    """What is too large is refused before it is decoded, and what is broken without a traceback."""
    assert code_of(upload) == code


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["PNG", "JPEG", "WEBP"]), st.integers(0, 2000))
def test_garbage_is_refused_or_harmless(noise: bytes, kind: str, at: int) -> None:
    """Damage anywhere in a file gives a picture or a BadInput, and nothing else."""
    whole = drawn(kind, mode="RGB", width=60, height=40, size=10)
    try:
        picture = judge_picture(whole[:at] + noise + whole[at:], "logo")
    except BadInput:
        return
    assert Pillow.open(BytesIO(picture.body)).format in ("PNG", "JPEG")


def test_an_svg_is_cleaned() -> None:
    """Scripts, handlers, links to elsewhere, foreign elements: nothing of it is served."""
    evil = (
        '<script>alert(1)</script><a href="javascript:alert(1)"><path d="M0 0h9v9z" fill="#0b6e4f"/></a>'
        '<image href="https://evil.example/a.png"/><foreignObject><iframe src="//evil.example"/>'
        "</foreignObject>"
        '<rect onload="alert(1)" style="fill:url(https://evil.example/b)"/>'
        "<style>@import url(https://evil.example/c);</style>"
        '<use href="https://evil.example/d.svg#x"/>'
    )
    picture = judge_picture(SVG.format(evil).encode(), "logo")
    body = picture.body.decode()
    assert (picture.image.content_type, picture.image.width, picture.image.height) == (
        "image/svg+xml",
        512,
        128,
    )
    assert 'd="M0 0h9v9z"' in body
    for word in ("script", "alert", "@import", "url(h", '"https', "iframe", "onload", "foreignObject"):
        assert word not in body


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ('viewBox="0 0 100 50"', (512, 256)),
        ('viewBox="0,0,50,100"', (256, 512)),
        ('width="20mm" height="10mm"', (512, 256)),
        ('width="100%" height="100%" viewBox="0 0 1 1"', (512, 512)),
    ],
)
def test_an_svg_has_a_size(head: str, size: tuple[int, int]) -> None:
    """The page is laid out before the picture is there, so its proportions have to be known."""
    upload = f'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" {head}><path d="M0 0"/></svg>'
    image = judge_picture(upload.encode(), "logo").image
    assert (image.width, image.height) == size


NESTED = b"<g>" * 30_000 + b"</g>" * 30_000
ENTITY = (
    b'<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">&a;</svg>'
)


@pytest.mark.parametrize(
    ("upload", "code"),
    [
        (SVG.format(NESTED[:40_000].decode()).encode(), "bad_svg"),
        (SVG.format("<g>" * 65 + "</g>" * 65).encode(), "bad_svg"),
        (SVG.format("<g/>" * 5_000).encode(), "bad_svg"),
        (SVG.format("x" * MAX_SVG).encode(), "picture_too_large"),
        (ENTITY, "bad_svg"),
        (SVG.format('<a><set attributeName="href" to="javascript:alert(1)"/></a>').encode(), "bad_svg"),
        (SVG.format('<animate attributeName="href" values="javascript:x"/>').encode(), "bad_svg"),
        (b"<html><body/></html>", "bad_svg"),
        (b"<svg viewBox='0 0 1 1'/>", "bad_svg"),
        (b"<svg", "bad_svg"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "bad_svg"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 0 1"/>', "bad_svg"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1e5 1"/>', "bad_svg"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">\xff</svg>', "bad_svg"),
    ],
    ids=[
        "nested",
        "deep",
        "many",
        "large",
        "entity",
        "set",
        "animate",
        "html",
        "namespace",
        "cut",
        "size",
        "zero",
        "hair",
        "encoding",
    ],
)
def test_what_is_no_plain_svg_is_refused(upload: bytes, code: str) -> None:
    """What would cost memory or time to clean is refused before that, and what is broken is said."""
    assert code_of(upload) == code
