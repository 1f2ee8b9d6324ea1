"""What is an address (RFC 5321, RFC 6531), and the one form of a domain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.accounts.address import Address, BadAddress, normalise_address, normalise_domain


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ann@example.org", Address("ann@example.org", "ann", "example.org")),
        ("Ann.B+x@EXAMPLE.org.", Address("Ann.B+x@example.org", "Ann.B+x", "example.org")),
        ("o'brien@example.org", Address("o'brien@example.org", "o'brien", "example.org")),
        ("'%*-@example.org", Address("'%*-@example.org", "'%*-", "example.org")),
        ('"ann"@example.org', Address("ann@example.org", "ann", "example.org")),
        ('"a b"@example.org', Address('"a b"@example.org', "a b", "example.org")),
        ('"a\\"@\\\\()"@example.org', Address('"a\\"@\\\\()"@example.org', 'a"@\\()', "example.org")),
        (
            "andr\u00e9@b\u00dccher.example",
            Address("andr\u00e9@xn--bcher-kva.example", "andr\u00e9", "xn--bcher-kva.example"),
        ),
        ("a@XN--BCHER-KVA.example", Address("a@xn--bcher-kva.example", "a", "xn--bcher-kva.example")),
        ("a@bu\u0308cher\u3002example", Address("a@xn--bcher-kva.example", "a", "xn--bcher-kva.example")),
        ("a@stra\u00dfe.example", Address("a@xn--strae-oqa.example", "a", "xn--strae-oqa.example")),
        ("a@\u4f8b\u3048.example", Address("a@xn--r8jz45g.example", "a", "xn--r8jz45g.example")),
        ("a@localhost", Address("a@localhost", "a", "localhost")),
    ],
)
def test_normalised(text: str, address: Address) -> None:
    assert normalise_address(text) == address
    assert normalise_address(address.address) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "ann@@example.org",
        "a b@example.org",
        ".ann@example.org",
        "ann.@example.org",
        "a..b@example.org",
        "a(b)@example.org",
        "back\\slash@example.org",
        '"ann@example.org',
        '""@example.org',
        '"a"b"@example.org',
        "a\0b@example.org",
        '"a\0b"@example.org',
        '"a\r\nb"@example.org',
        "a\x85b@example.org",
        "a\u202eb@example.org",
        "a\u00a0b@example.org",
        "a\ud800b@example.org",
        "a@exam\0ple.org",
        "a@exam_ple.org",
        "a@example..org",
        "a@.example.org",
        "a@-example.org",
        "a@example-.org",
        "a@127.0.0.1",
        "a@[127.0.0.1]",
        "a@xn--\u00fc.example",
        "a@xn--.example",
        "a@xn--999999999.example",
        "a@xn--abc-.example",
        "a@\u0301x.example",
        "a@x\u202ey.example",
        "a" * 65 + "@example.org",
        "a@" + "b" * 64 + ".example",
        "a@" + "b." * 130 + "example",
        "\u00e9" * 33 + "@example.org",
        "a" * 100_000 + "@example.org",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        normalise_address(text)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused_and_its_form_is_stable(text: str) -> None:
    for candidate in (text, f"{text}@example.org", f"a@{text}"):
        try:
            address = normalise_address(candidate)
        except BadAddress:
            continue
        assert normalise_address(address.address) == address
        assert normalise_domain(address.domain) == address.domain
        assert address.domain.isascii()
        assert not any(c < " " or c == "\x7f" for c in address.address)
