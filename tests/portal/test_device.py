from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.portal.device import Device, device_of

MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/"


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
            Device("Firefox", "Linux"),
        ),
        (
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
                "Chrome/130.0.0.0 Safari/537.36"
            ),
            Device("Chrome", "Windows"),
        ),
        (
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
                "Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0"
            ),
            Device("Edge", "Windows"),
        ),
        (MAC + "605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15", Device("Safari", "macOS")),
        (
            MAC + "537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 OPR/115.0",
            Device("Opera", "macOS"),
        ),
        (
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML) "
                "Version/18.0 Mobile/15E148 Safari/604.1"
            ),
            Device("Safari", "iPhone"),
        ),
        (
            (
                "Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
                "CriOS/130.0 Mobile/15E148 Safari/604.1"
            ),
            Device("Chrome", "iPad"),
        ),
        (
            (
                "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) "
                "SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36"
            ),
            Device("Samsung Internet", "Android"),
        ),
        ("curl/8.10.1", Device("", "")),
        ("", Device("", "")),
    ],
)
def test_what_people_recognise(user_agent: str, device: Device) -> None:
    """The browser's own name, though it says those of others, and what it runs on."""
    assert device_of(user_agent) == device


@given(st.text(max_size=200))
def test_nothing_else_gets_through(user_agent: str) -> None:
    """Whatever is sent, the answer is made of names that we know, or of nothing."""
    device = device_of(user_agent)
    assert device.browser.replace(" ", "").isalpha() or not device.browser
    assert device.system.isalpha() or not device.system
