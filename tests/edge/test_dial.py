"""What an upstream's URL says of where to connect, and whom to ask for."""

from __future__ import annotations

import pytest

from router.edge.dial import Target


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://erp.example.com:80", "erp.example.com", 80, b"erp.example.com"),
        ("https://erp.example.com:443/app", "erp.example.com", 443, b"erp.example.com"),
        ("http://erp.example.com:443", "erp.example.com", 443, b"erp.example.com:443"),
        ("http://erp.example.com:8080", "erp.example.com", 8080, b"erp.example.com:8080"),
        ("http://erp.example.com:8000/", "erp.example.com", 8000, b"erp.example.com:8000"),
        ("https://[2001:db8::80]:443", "2001:db8::80", 443, b"[2001:db8::80]"),
        ("http://[2001:db8::80]:81", "2001:db8::80", 81, b"[2001:db8::80]:81"),
    ],
)
def test_a_scheme_s_own_port_goes_without_saying(url: str, host: str, port: int, authority: bytes) -> None:
    """A rewritten Host names the port only where it is another than the scheme's."""
    target = Target.parse(url)
    assert (target.host, target.port, target.authority) == (host, port, authority)
    assert target.tls is url.startswith("https")


@pytest.mark.parametrize(("path", "prefix"), [("", b""), ("/", b""), ("/app", b"/app"), ("/a/b/", b"/a/b")])
def test_a_path_ends_without_a_slash(path: str, prefix: bytes) -> None:
    """A visit's own path brings the slash."""
    assert Target.parse(f"http://erp.example.com:80{path}").prefix == prefix


def test_a_unix_socket_has_a_path_and_no_host() -> None:
    """Its rewritten Host is localhost: there is nothing better to say."""
    target = Target.parse("unix:/run/erp.sock")
    assert (target.path, target.host, target.prefix, target.authority) == (
        "/run/erp.sock", "", b"", b"localhost",
    )  # fmt: skip
