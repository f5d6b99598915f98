from __future__ import annotations

import time

import pytest

from router.errors import BadInput
from router.tenants.pictures import judge_picture
from router.tenants.svg_cost import check_cost
from tests.corpora.drawings import COSTLY, SOUND, drawing


@pytest.mark.parametrize("name", COSTLY)
def test_what_keeps_browsers_busy_is_refused(name: str) -> None:
    """What is drawn over and over by reference is refused, with what to do, in no time itself."""
    began = time.thread_time()
    with pytest.raises(BadInput) as caught:
        judge_picture(drawing(COSTLY[name]), "logo")
    assert caught.value.code == "svg_too_costly"
    assert "upload a PNG" in caught.value.sentence
    assert time.thread_time() - began < 2


@pytest.mark.parametrize("name", SOUND)
def test_what_drawing_programs_write_is_accepted(name: str) -> None:
    """References as logos have them are no fault."""
    assert judge_picture(drawing(SOUND[name]), "logo").image.content_type == "image/svg+xml"


@pytest.mark.parametrize(
    "inside",
    [
        f'<rect width="9" height="9" style="{"a" * 90_000}"/>',
        f'<rect width="9" height="9" style="a{" " * 90_000}"/>',
        f'<rect width="9" height="9" fill="url({" " * 90_000}"/>',
        f'<style>{"a" * 90_000}</style><rect width="9" height="9"/>',
        f'<style>{"{a" * 45_000}</style><rect width="9" height="9"/>',
    ],
    ids=["word", "space", "reference", "selector", "braces"],
)
def test_weighing_is_cheap_whatever_the_text(inside: str) -> None:
    """A hundred thousand characters that nearly match are looked at once, not once for each of them."""
    svg = f'<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>'
    began = time.thread_time()
    check_cost(svg.encode())
    assert time.thread_time() - began < 1
