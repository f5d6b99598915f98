from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.certificates.pairing import FileGroup, group_files


@pytest.mark.parametrize(
    ("paths", "certificates", "keys"),
    [
        (["shop.pem"], ["shop.pem"], []),
        (["shop.p12"], ["shop.p12"], []),
        (["shop.pem", "shop.key"], ["shop.pem"], ["shop.key"]),
        (["shop.CRT", "shop.KEY"], ["shop.CRT"], ["shop.KEY"]),
        (["shop.crt", "shop-key.pem"], ["shop.crt"], ["shop-key.pem"]),
        (["shop_cert.pem", "shop_key.pem"], ["shop_cert.pem"], ["shop_key.pem"]),
        (["shop.crt", "shop.chain.pem", "shop.key"], ["shop.chain.pem", "shop.crt"], ["shop.key"]),
        (["mkcert+2.pem", "mkcert+2-key.pem"], ["mkcert+2.pem"], ["mkcert+2-key.pem"]),
        (["shop/fullchain.pem", "shop/privkey.pem"], ["shop/fullchain.pem"], ["shop/privkey.pem"]),
        (["shop/tls.crt", "shop/tls.key"], ["shop/tls.crt"], ["shop/tls.key"]),
        (["shop/a.pem", "shop/b.pem", "shop/README"], ["shop/a.pem", "shop/b.pem"], []),
    ],
)
def test_files_of_one_certificate_are_one_group(
    paths: list[str], certificates: list[str], keys: list[str]
) -> None:
    """The spellings of common tools (openssl, mkcert, certbot, Kubernetes) are understood."""
    (group,) = group_files(paths).values()
    assert (group.certificates, group.keys) == (tuple(certificates), tuple(keys))


def test_different_names_are_different_groups() -> None:
    """Files of two certificates side by side do not mix, nor do a file and a folder of one name."""
    paths = ["shop.pem", "shop.key", "shop2.pem", "shop.example.com.pem", "shop/tls.crt"]
    assert {name: group.certificates for name, group in group_files(paths).items()} == {
        "shop": ("shop.pem",),
        "shop2": ("shop2.pem",),
        "shop.example.com": ("shop.example.com.pem",),
        "shop/": ("shop/tls.crt",),
    }


@pytest.mark.parametrize("path", ["README.md", ".shop.pem", ".git/shop.pem", "shop.pem~", "shop.txt", "pem"])
def test_other_files_are_left_alone(path: str) -> None:
    """What is not a certificate by its name is not opened."""
    assert group_files([path]) == {}


@given(
    st.lists(
        st.text(st.sampled_from("ab-_./key"), min_size=1, max_size=12).map(lambda stem: f"{stem}.pem"),
        unique=True,
    )
)
def test_each_file_is_in_one_group_at_most(paths: list[str]) -> None:
    """Whatever files are called, none is read for two certificates."""
    groups: list[FileGroup] = list(group_files(paths).values())
    members = [path for group in groups for path in (*group.certificates, *group.keys)]
    assert len(members) == len(set(members))
    assert set(members) <= set(paths)
