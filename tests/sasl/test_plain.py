"""PLAIN (RFC 4616) and LOGIN: the messages and their refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.sasl.errors import Fault, SaslFault
from restante.sasl.plain import Claim, LoginServer, LoginState, parse_plain, plain_message


@pytest.mark.parametrize(
    ("message", "claim"),
    [
        pytest.param(b"\0tim\0tanstaaftanstaaf", Claim(b"", b"tim", b"tanstaaftanstaaf"), id="rfc4616-4-first"),
        pytest.param(b"Ursel\0Kurt\0xipj3plmq", Claim(b"Ursel", b"Kurt", b"xipj3plmq"), id="rfc4616-4-second"),
        pytest.param(b"\0'%*()\\\0p", Claim(b"", b"'%*()\\", b"p"), id="specials"),
        pytest.param(b"\0u\0", Claim(b"", b"u", b""), id="empty-password"),
        pytest.param(b"\0u\0\xff\xfe", Claim(b"", b"u", b"\xff\xfe"), id="password-in-another-charset"),
    ],
)
def test_a_claim_is_read(message: bytes, claim: Claim) -> None:
    assert parse_plain(message) == claim


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (b"", Fault.INVALID_ENCODING),
        (b"user", Fault.INVALID_ENCODING),
        (b"\0user", Fault.INVALID_ENCODING),
        (b"\0\0password", Fault.INVALID_ENCODING),
        (b"\0user\0pass\0word", Fault.INVALID_ENCODING),
        (b"\0us\xffer\0password", Fault.INVALID_ENCODING),
        (b"\xc0\x80\0user\0password", Fault.INVALID_ENCODING),
        (b"\0user\0" + b"p" * 1025, Fault.TOO_LONG),
        (b"\0" * 10_000, Fault.TOO_LONG),
    ],
)
def test_a_broken_message_is_refused(message: bytes, fault: Fault) -> None:
    with pytest.raises(SaslFault) as caught:
        parse_plain(message)
    assert caught.value.fault is fault


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=50)


@given(NAMES, NAMES, NAMES)
def test_what_the_client_says_is_what_the_server_reads(user: str, password: str, authzid: str) -> None:
    claim = parse_plain(plain_message(user, password, authzid))
    assert claim == Claim(authzid.encode(), user.encode(), password.encode())


def test_the_client_sends_no_nul() -> None:
    with pytest.raises(ValueError, match="NUL"):
        plain_message("user", "pass\0word")


def test_a_claims_password_is_not_shown() -> None:
    assert "secret" not in repr(Claim(b"", b"user", b"secret"))


@pytest.mark.parametrize("initial", [True, False], ids=["initial-response", "without"])
def test_login_asks_for_name_and_password(initial: bool) -> None:
    server = LoginServer()
    if not initial:
        assert server.step(None) == b"Username:"
    assert server.step(b"tim") == b"Password:"
    assert server.step(b"secret") == Claim(b"", b"tim", b"secret")
    assert server.state is LoginState.DONE
    with pytest.raises(SaslFault, match="out-of-turn"):
        server.step(b"more")


@pytest.mark.parametrize(
    "answers", [[b""], [b"a\0b"], [b"\xff"], [b"u" * 1025], [b"u", b"p\0"], [b"u", b"p" * 1025], [b"u", None]]
)
def test_login_refuses_broken_answers(answers: list[bytes | None]) -> None:
    server = LoginServer()
    for answer in answers[:-1]:
        server.step(answer)
    with pytest.raises(SaslFault):
        server.step(answers[-1])
