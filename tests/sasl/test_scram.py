"""SCRAM-SHA-256: the RFC's example, our two sides against each other and against scramp, and what is refused."""

from __future__ import annotations

import base64
import re

import pytest
import scramp
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.sasl import scram, scram_client, scram_server
from restante.sasl.errors import Fault, SaslFault
from restante.sasl.saslprep import prepare_password
from restante.sasl.scram import Binding, Verifier, parse_client_first, unescape_name, verifier
from restante.sasl.scram_client import ScramClient
from restante.sasl.scram_server import ScramServer, false_salt

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
PENCIL = verifier(b"pencil", SALT, 4096)
BINDING = b"\x5a" * 32

# RFC 7677 3
CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def server(*, plus: bool = False, binding: bytes | None = None, nonce: str = SERVER_NONCE) -> ScramServer:
    return ScramServer(plus=plus, binding=binding, nonce=nonce)


def refusal(call: object, *arguments: object) -> Fault:
    with pytest.raises(SaslFault) as caught:
        call(*arguments)  # type: ignore[operator]  # a bound method
    return caught.value.fault


def test_rfc7677_3_server() -> None:
    exchange = server()
    first = exchange.first(CLIENT_FIRST)
    assert (first.user, first.authzid, first.binding) == ("user", "", Binding.NONE)
    assert exchange.challenge(SALT, 4096) == SERVER_FIRST
    assert exchange.final(CLIENT_FINAL, [PENCIL]) == (0, SERVER_FINAL)
    assert exchange.state is scram_server.State.PROVED


def test_rfc7677_3_client() -> None:
    exchange = ScramClient("user", "pencil", CLIENT_NONCE)
    assert exchange.first() == CLIENT_FIRST
    assert exchange.final(SERVER_FIRST) == CLIENT_FINAL
    exchange.verify(SERVER_FINAL)
    assert exchange.state is scram_client.State.DONE


def converse(exchange: ScramServer, client: ScramClient, verifiers: list[Verifier], salt: bytes = SALT) -> int:
    exchange.first(client.first())
    index, final = exchange.final(client.final(exchange.challenge(salt, 4096)), verifiers)
    client.verify(final)
    return index


def test_each_verifier_is_tried() -> None:
    others = [verifier(b"pen", SALT, 4096), verifier(b"ink", SALT, 4096)]
    for place in range(3):
        kept = [*others[:place], PENCIL, *others[place:]]
        assert converse(server(), ScramClient("user", "pencil", "c"), kept) == place


def test_a_proof_that_fits_no_verifier_is_refused() -> None:
    for kept in ([], [verifier(b"pen", SALT, 4096)]):
        with pytest.raises(SaslFault, match="invalid-proof"):
            converse(server(), ScramClient("user", "pencil", "c"), kept)


def test_plus_binds_to_the_connection() -> None:
    client = ScramClient("user", "pencil", "c", binding=Binding.USED, binding_data=BINDING)
    assert converse(server(plus=True, binding=BINDING), client, [PENCIL]) == 0


@pytest.mark.parametrize(
    ("plus", "there", "flag", "data", "fault"),
    [
        pytest.param(True, BINDING, Binding.USED, b"\x5b" * 32, Fault.BINDING_MISMATCH, id="wrong"),
        pytest.param(True, BINDING, Binding.USED, b"", Fault.BINDING_MISMATCH, id="empty"),
        pytest.param(True, BINDING, Binding.NONE, b"", Fault.BINDING_MISSING, id="missing"),
        pytest.param(True, BINDING, Binding.UNOFFERED, b"", Fault.BINDING_MISSING, id="y-with-plus"),
        pytest.param(True, None, Binding.USED, b"", Fault.BINDING_NOT_HERE, id="plus-without-tls"),
        pytest.param(False, BINDING, Binding.USED, BINDING, Fault.BINDING_NOT_HERE, id="p-without-plus"),
        pytest.param(False, None, Binding.USED, BINDING, Fault.BINDING_NOT_HERE, id="p-without-tls"),
        pytest.param(False, BINDING, Binding.UNOFFERED, b"", Fault.DOWNGRADE, id="downgrade"),
    ],
)
def test_wrong_bindings_are_refused(plus: bool, there: bytes | None, flag: Binding, data: bytes, fault: Fault) -> None:
    client = ScramClient("user", "pencil", "c", binding=flag, binding_data=data)
    with pytest.raises(SaslFault) as caught:
        converse(server(plus=plus, binding=there), client, [PENCIL])
    assert caught.value.fault is fault


def test_y_is_right_where_plus_was_not_offered() -> None:
    client = ScramClient("user", "pencil", "c", binding=Binding.UNOFFERED)
    assert converse(server(), client, [PENCIL]) == 0


def test_another_binding_type_is_refused() -> None:
    message = b"p=tls-unique,,n=user,r=c"
    assert refusal(server(plus=True, binding=BINDING).first, message) is Fault.BINDING_TYPE


def test_a_header_changed_on_the_way_is_noticed() -> None:
    """Somebody turns "y" into "n" to hide that -PLUS was struck from the list: c= no longer fits."""
    client = ScramClient("user", "pencil", "c", binding=Binding.UNOFFERED)
    exchange = server(binding=BINDING)
    exchange.first(client.first().replace(b"y,,", b"n,,"))
    final = client.final(exchange.challenge(SALT, 4096))
    assert refusal(exchange.final, final, [PENCIL]) is Fault.BINDING_MISMATCH


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (b"", Fault.INVALID_ENCODING),
        (b"n,,", Fault.INVALID_ENCODING),
        (b"x,,n=user,r=c", Fault.INVALID_ENCODING),
        (b"n,n=user,r=c", Fault.INVALID_ENCODING),
        (b"n,,n=,r=c", Fault.INVALID_ENCODING),
        (b"n,,n=user,r=", Fault.INVALID_ENCODING),
        (b"n,,n=user", Fault.INVALID_ENCODING),
        (b"n,,r=c,n=user", Fault.INVALID_ENCODING),
        (b"n,,n=us=er,r=c", Fault.INVALID_ENCODING),
        (b"n,,n=us=2cer,r=c", Fault.INVALID_ENCODING),
        (b"n,,n=us\0er,r=c", Fault.INVALID_ENCODING),
        (b"n,,n=us\xffer,r=c", Fault.INVALID_ENCODING),
        (b"n,,n=user,r=a b", Fault.INVALID_ENCODING),
        (b"n,,n=user,r=\xc3\xa9", Fault.INVALID_ENCODING),
        (b"n,a=,n=user,r=c", Fault.INVALID_ENCODING),
        (b"n,,n=user,r=c,xyz", Fault.INVALID_ENCODING),
        (b"n,,m=ext,n=user,r=c", Fault.EXTENSION),
        (b"n,,n=user,r=" + b"c" * 513, Fault.INVALID_ENCODING),
        (b"n,,n=" + b"u" * 5000 + b",r=c", Fault.TOO_LONG),
    ],
)
def test_broken_client_firsts_are_refused(message: bytes, fault: Fault) -> None:
    exchange = server()
    assert refusal(exchange.first, message) is fault
    assert exchange.state is scram_server.State.FAILED
    assert refusal(exchange.first, CLIENT_FIRST) is Fault.OUT_OF_TURN


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (b"", Fault.INVALID_ENCODING),
        (CLIENT_FINAL.partition(b",p=")[0], Fault.INVALID_ENCODING),
        (CLIENT_FINAL.replace(b"p=dHz", b"p=d z"), Fault.INVALID_ENCODING),
        (re.sub(b"p=.*", b"p=AAAA", CLIENT_FINAL), Fault.INVALID_ENCODING),
        (CLIENT_FINAL + b",x=1", Fault.INVALID_ENCODING),
        (CLIENT_FINAL.replace(b"F$k0", b"F$k1"), Fault.NONCE),
        (CLIENT_FINAL.replace(b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", b""), Fault.NONCE),
        (CLIENT_FINAL.replace(b"c=biws", b"c=eSws"), Fault.BINDING_MISMATCH),
        (CLIENT_FINAL.replace(b"p=dHz", b"p=eHz"), Fault.INVALID_PROOF),
        (CLIENT_FINAL.replace(b",p=", b",x=1,p="), Fault.INVALID_PROOF),
        (CLIENT_FINAL + b"A" * 5000, Fault.TOO_LONG),
    ],
)
def test_broken_client_finals_are_refused(message: bytes, fault: Fault) -> None:
    exchange = server()
    exchange.first(CLIENT_FIRST)
    exchange.challenge(SALT, 4096)
    assert refusal(exchange.final, message, [PENCIL]) is fault
    assert refusal(exchange.final, CLIENT_FINAL, [PENCIL]) is Fault.OUT_OF_TURN


def test_messages_out_of_turn_are_refused() -> None:
    assert refusal(server().challenge, SALT, 4096) is Fault.OUT_OF_TURN
    assert refusal(server().final, CLIENT_FINAL, [PENCIL]) is Fault.OUT_OF_TURN
    exchange = server()
    exchange.first(CLIENT_FIRST)
    assert refusal(exchange.final, CLIENT_FINAL, [PENCIL]) is Fault.OUT_OF_TURN


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (SERVER_FIRST.replace(CLIENT_NONCE.encode(), b"another"), Fault.NONCE),
        (SERVER_FIRST.replace(SERVER_NONCE.encode(), b""), Fault.NONCE),
        (SERVER_FIRST.replace(b"i=4096", b"i=1"), Fault.WEAK),
        (SERVER_FIRST.replace(b"i=4096", b"i=999999999"), Fault.WEAK),
        (SERVER_FIRST.replace(b"i=4096", b"i=x"), Fault.INVALID_ENCODING),
        (b"m=ext," + SERVER_FIRST, Fault.INVALID_ENCODING),
    ],
)
def test_a_client_refuses_bad_servers_first(message: bytes, fault: Fault) -> None:
    client = ScramClient("user", "pencil", CLIENT_NONCE)
    client.first()
    assert refusal(client.final, message) is fault


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (SERVER_FINAL.replace(b"6rr", b"7rr"), Fault.SERVER_FALSE),
        (b"e=invalid-proof", Fault.SERVER_REFUSED),
        (b"v=!", Fault.INVALID_ENCODING),
        (b"", Fault.INVALID_ENCODING),
    ],
)
def test_a_client_refuses_a_server_that_does_not_know_the_password(message: bytes, fault: Fault) -> None:
    client = ScramClient("user", "pencil", CLIENT_NONCE)
    client.first()
    client.final(SERVER_FIRST)
    assert refusal(client.verify, message) is fault
    assert client.state is scram_client.State.FAILED


PASSWORDS = ["pencil", "I\u00adX", "\u00aa\u2168", "p\u00e4ss w\u00f6rt", "=,=2C"]


@pytest.mark.parametrize("plus", [False, True], ids=["plain", "plus"])
@pytest.mark.parametrize("password", PASSWORDS)
def test_scramp_logs_in_here(password: str, plus: bool) -> None:
    name = "SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256"
    bound = ("tls-server-end-point", BINDING) if plus else None
    peer = scramp.ScramClient([name], "u,s=er", password, channel_binding=bound)
    keys = verifier(prepare_password(password.encode()), SALT, 4096)
    exchange = server(plus=plus, binding=BINDING if plus else None)
    assert exchange.first(peer.get_client_first().encode()).user == "u,s=er"
    peer.set_server_first(exchange.challenge(SALT, 4096).decode())
    _, final = exchange.final(peer.get_client_final().encode(), [keys])
    peer.set_server_final(final.decode())


@pytest.mark.parametrize("password", PASSWORDS)
def test_we_log_in_at_scramp(password: str) -> None:
    mechanism = scramp.ScramMechanism("SCRAM-SHA-256")
    known = mechanism.make_auth_info(password, iteration_count=4096)
    peer = mechanism.make_server(lambda user: known)
    client = ScramClient("user", password, "clientnonce")
    peer.set_client_first(client.first().decode())
    peer.set_client_final(client.final(peer.get_server_first().encode()).decode())
    client.verify(peer.get_server_final().encode())


def test_a_false_salt_is_stable_and_a_names_own() -> None:
    salt = false_salt(b"s" * 32, "nobody@example.org", 16)
    assert len(salt) == 16
    assert salt == false_salt(b"s" * 32, "nobody@example.org", 16)
    assert salt != false_salt(b"s" * 32, "nobody@example.net", 16)
    assert salt != false_salt(b"t" * 32, "nobody@example.org", 16)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=100))
def test_names_come_back_from_their_escapes(name: str) -> None:
    assert unescape_name(scram.escape_name(name)) == name
    assert parse_client_first(f"n,a={scram.escape_name(name)},n={scram.escape_name(name)},r=c".encode()).user == name


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=80), st.text("npy=,acr2CD3m\0\u00e9 ", max_size=40).map(str.encode)))
def test_any_octets_are_a_message_or_refused(message: bytes) -> None:
    for parse in (scram.parse_client_first, scram.parse_client_final):
        try:
            parse(message)
        except SaslFault:
            pass
