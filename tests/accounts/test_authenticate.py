"""Who gets in: passwords, app passwords, SCRAM; what a cache may not do; how guessers fare."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import bcrypt
import pytest

from restante.accounts.admin import BadSetting
from restante.accounts.authenticate import UnknownMechanism
from restante.accounts.login import (
    AccountDisabled,
    Admitted,
    AuthorizationRefused,
    LoginRefused,
    LoginUnavailable,
    Peer,
    PrivacyRequired,
    SecretExpired,
    TooManyQuestions,
)
from restante.accounts.proofs import ProofTable
from restante.clock import system_random
from restante.config.model import AccountsTable, AuthTable, Config
from restante.sasl.plain import plain_message
from restante.sasl.scram import Binding
from restante.sasl.scram_client import ScramClient
from restante.store.directory import AccountSettings, Credential
from restante.store.errors import Busy

from .world import AFAR, ANN, AUTH, BINDING, HERE, IN_THE_CLEAR, World, run

SCRAM = Config(auth=AUTH, accounts=AccountsTable(scram=True))


async def refused(login: Awaitable[object]) -> str:
    """The reason of a refusal that looks like every other."""
    with pytest.raises(LoginRefused) as caught:
        await login
    assert type(caught.value) is LoginRefused
    assert caught.value.text == "Authentication failed."
    assert not caught.value.remedy
    return caught.value.reason


def test_the_right_password_gives_the_account(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        for name in (ANN, b"ANN@Example.ORG", b'"ann"@example.org'):
            assert (await world.auth.password(name, b"secret", AFAR)).account.address == "ann@example.org"
        assert await refused(world.auth.password(ANN, b"Secret", AFAR)) == "wrong password"
        assert await refused(world.auth.password(b"bob@example.org", b"secret", AFAR)) == "unknown account"

    run(tmp_path, test)


def test_a_second_login_computes_nothing(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.auth.password(ANN, b"secret", AFAR)
        assert world.computations == 1
        for _ in range(5):
            await world.auth.password(ANN, b"secret", replace(AFAR, address="198.51.100.7", protocol="pop3"))
        assert world.computations == 1
        world.clock.advance(AUTH.cache_time + 1)
        await world.auth.password(ANN, b"secret", AFAR)
        assert world.computations == 2

    run(tmp_path, test)


def test_two_users_with_one_password_stay_two(tmp_path: Path) -> None:
    """CVE-2025-30189: a cache with one key for all gave another's mail."""

    async def test(world: World) -> None:
        await world.admin.add_account("bob@example.org", "secret")
        await world.admin.add_account("cleo@example.org", "other")
        for _ in range(2):
            for name in ("ann", "bob"):
                admitted = await world.auth.password(f"{name}@example.org".encode(), b"secret", AFAR)
                assert admitted.account.address == f"{name}@example.org"
        assert await refused(world.auth.password(b"cleo@example.org", b"secret", AFAR)) == "wrong password"

    run(tmp_path, test)


def test_a_changed_password_counts_at_once_in_every_process(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        other = world.another_process()
        for auth in (world.auth, other):
            await auth.password(ANN, b"secret", AFAR)
        await world.admin.set_password("ann@example.org", "new")
        for auth in (world.auth, other):
            assert await refused(auth.password(ANN, b"secret", AFAR)) == "wrong password"
            await auth.password(ANN, b"new", AFAR)
        await world.admin.remove_account("ann@example.org")
        await world.admin.add_account("ann@example.org", "third")
        for auth in (world.auth, other):
            assert await refused(auth.password(ANN, b"new", AFAR)) == "wrong password"
        other.close()

    run(tmp_path, test)


def test_what_one_worker_has_checked_another_does_not_check_again(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        proofs = ProofTable(system_random, 100)
        one, other = world.another_process(proofs), world.another_process(proofs)
        await one.password(ANN, b"secret", AFAR)
        await other.password(ANN, b"secret", AFAR)
        assert (one.checker.computations, other.checker.computations) == (1, 0)
        assert await refused(other.password(ANN, b"guess", AFAR)) == "wrong password"
        await world.admin.set_password("ann@example.org", "new")
        for auth in (one, other):
            assert await refused(auth.password(ANN, b"secret", AFAR)) == "wrong password"
            await auth.password(ANN, b"new", AFAR)
            auth.close()

    run(tmp_path, test)


async def told(login: Awaitable[object], kind: type[LoginRefused]) -> str:
    """The reason of a refusal that only who holds the right secret may hear."""
    with pytest.raises(kind) as caught:
        await login
    assert type(caught.value) is kind
    return caught.value.reason


def test_a_disabled_account_is_told_to_nobody_but_its_owner(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.auth.password(ANN, b"secret", AFAR)
        await world.admin.disable("ann@example.org")
        before, waited = world.computations, len(world.delays)
        assert await refused(world.auth.password(ANN, b"wrong", AFAR)) == "wrong password"
        assert await refused(world.auth.password(b"nobody@example.org", b"wrong", AFAR)) == "unknown account"
        assert world.computations == before + 2
        assert world.delays[waited:] == [AUTH.delay_first] * 2
        for _ in range(9):  # its owner has guessed nothing: he is not counted, and not made to queue
            assert await told(world.auth.password(ANN, b"secret", AFAR), AccountDisabled) == "account disabled"
            assert world.delays[-1] == AUTH.delay_first
        await world.admin.enable("ann@example.org")
        await world.auth.password(ANN, b"secret", AFAR)

    run(tmp_path, test)


@pytest.mark.parametrize("scram", [False, True])
def test_an_expired_app_password_says_so_to_its_holder_alone(tmp_path: Path, scram: bool) -> None:
    async def test(world: World) -> None:
        until = int(world.clock.now()) + 100
        _, text = await world.admin.add_app_password("ann@example.org", "phone", expires=until)
        login = scram_login if scram else plain_login

        await login(world, text)
        world.clock.advance(99)
        await login(world, text)  # remembered by now, or not: the expiry counts all the same
        world.clock.advance(1)
        for _ in range(2):
            assert await told(login(world, text), SecretExpired) == "app password expired"
        assert await refused(login(world, text[:-1] + "!")) in ("wrong password", "invalid-proof")
        await login(world, "secret")
        with pytest.raises(BadSetting):
            await world.admin.add_app_password("ann@example.org", "late", expires=int(world.clock.now()))

    run(tmp_path, test, SCRAM if scram else None)


async def plain_login(world: World, password: str, authzid: str = "") -> object:
    exchange = world.auth.start("PLAIN", AFAR)
    return await exchange.step(plain_message("ann@example.org", password, authzid))


async def scram_login(world: World, password: str, authzid: str = "") -> object:
    client = ScramClient("ann@example.org", password, "abc", authzid=authzid)
    exchange = world.auth.start("SCRAM-SHA-256", replace(AFAR, channel_binding=None))
    server_first = await exchange.step(client.first())
    assert isinstance(server_first, bytes)
    server_final = await exchange.step(client.final(server_first))
    assert isinstance(server_final, bytes)
    client.verify(server_final)
    return await exchange.step(b"")


@pytest.mark.parametrize("scram", [False, True])
def test_acting_for_another_is_refused_once_the_secret_is_right(tmp_path: Path, scram: bool) -> None:
    async def test(world: World) -> None:
        login = scram_login if scram else plain_login
        await world.admin.add_account("bob@example.org", "other")
        for own in ("", "ann@example.org", "ANN@example.ORG"):
            await login(world, "secret", own)
        for other in ("bob@example.org", "nobody@example.org", "no address", "x" * 500):
            assert await told(login(world, "secret", other), AuthorizationRefused) == "acting for another"
            before = world.computations
            assert await refused(login(world, "wrong", other)) in ("wrong password", "invalid-proof")
            assert world.computations == before + (not scram)
        assert world.log[-1][1]["account"] == "ann@example.org"

    run(tmp_path, test, SCRAM if scram else None)


def test_every_failure_computes_as_much(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.admin.add_account("nopass@example.org")
        await world.admin.add_account("apponly@example.org")
        await world.admin.add_app_password("apponly@example.org", "x")
        names = [ANN, b"nobody@example.org", b"nopass@example.org", b"apponly@example.org", b"no address", b"\xff", b""]
        for name in names:
            for password in (b"wrong", b"", b"x" * 5000, b"\xff\0"):
                before, waited = world.computations, len(world.delays)
                await refused(world.auth.password(name, password, replace(AFAR, address=f"2001:db8:{before}::1")))
                assert world.computations == before + 1, name
                assert len(world.delays) == waited + 1

    run(tmp_path, test)


def test_names_that_are_no_names_are_refused_safely(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        for name in (
            b"'%*()\\@example.org",
            b"ann@example.org\0",
            b"ann\0@example.org",
            b"\r\nlogin ok",
            b"\xff\xfe@\xff",
            b"*",
            b"%",
            b"ann@example.org' OR '1'='1",
            b"x" * 1_000_000,
            "a\u202en@example.org".encode(),
        ):
            assert await refused(world.auth.password(name, b"secret", AFAR)) == "unknown account"
        for _, fields in world.log:
            shown = fields["account"]
            assert isinstance(shown, str)
            assert shown.isprintable()
            assert len(shown) <= 100

    run(tmp_path, test)


def test_the_log_tells_who_and_why_but_no_password(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await refused(world.auth.password(ANN, b"hunter2", AFAR))
        await world.auth.password(b"Ann@Example.ORG.", b"secret", HERE)
        assert world.log[0] == (
            "login-failed",
            {
                "account": "ann@example.org",
                "address": "192.0.2.1",
                "protocol": "imap",
                "mechanism": "password",
                "reason": "wrong password",
            },
        )
        event, fields = world.log[1]
        assert (event, fields["account"], fields["address"]) == ("login", "ann@example.org", "127.0.0.1")
        assert "hunter2" not in repr(world.log)
        assert "secret" not in repr(world.log)

    run(tmp_path, test)


def test_plain_text_needs_tls_or_loopback(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        assert world.auth.plain_allowed(HERE)
        assert world.auth.plain_allowed(AFAR)
        assert not world.auth.plain_allowed(IN_THE_CLEAR)
        with pytest.raises(PrivacyRequired):
            await world.auth.password(ANN, b"secret", IN_THE_CLEAR)
        for mechanism in ("PLAIN", "login"):
            with pytest.raises(PrivacyRequired):
                world.auth.start(mechanism, IN_THE_CLEAR)
        assert world.log == []

    run(tmp_path, test)


def test_the_demo_account_is_for_loopback_alone(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.admin.add_account("demo@example.org", "demo", demo=True)
        await world.auth.password(b"demo@example.org", b"demo", HERE)
        assert await refused(world.auth.password(b"demo@example.org", b"demo", AFAR)) == "demo account from elsewhere"

    run(tmp_path, test)


def test_app_passwords_open_their_protocols_and_can_be_revoked(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        credential, text = await world.admin.add_app_password("ann@example.org", "phone", ["pop3"])
        secret = text.encode()
        pop3 = replace(AFAR, protocol="pop3")
        for _ in range(2):
            await world.auth.password(ANN, secret, pop3)
            assert await refused(world.auth.password(ANN, secret, AFAR)) == "app password for another protocol"
        await world.auth.password(ANN, b"secret", AFAR)
        await world.auth.password(ANN, secret.replace(b"-", b"").upper(), pop3)
        await world.admin.revoke_app_password("ann@example.org", credential.number)
        assert await refused(world.auth.password(ANN, secret, pop3)) == "wrong password"

    run(tmp_path, test)


def test_the_cache_keeps_an_app_password_to_its_protocol(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        _, text = await world.admin.add_app_password("ann@example.org", "phone", ["pop3"])
        assert await refused(world.auth.password(ANN, text.encode(), AFAR)) == "app password for another protocol"
        assert await refused(world.auth.password(ANN, text.encode(), AFAR)) == "app password for another protocol"

    run(tmp_path, test)


def test_the_last_use_is_noted(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.auth.password(ANN, b"secret", AFAR)
        await world.directory.flush()
        login = await world.directory.login("ann@example.org")
        assert login is not None
        assert login.credentials[0].last_used == int(world.clock.now())

    run(tmp_path, test)


def test_a_cheap_hash_is_made_anew_at_login(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        salted = hashlib.sha1(b"secret" + b"salt").digest() + b"salt"
        imported = "{SSHA}" + base64.b64encode(salted).decode()
        account = await world.admin.account("ann@example.org")
        await world.directory.put_credential(account.id, Credential(0, "password", "", imported))
        before = world.computations
        await refused(world.auth.password(ANN, b"wrong", AFAR))
        assert world.computations == before + 2  # the cheap check, and one that costs what others cost
        await world.auth.password(ANN, b"secret", AFAR)
        login = await world.directory.login("ann@example.org")
        assert login is not None
        assert login.credentials[0].hash.startswith("$argon2id$")
        await world.auth.password(ANN, b"secret", AFAR)

    run(tmp_path, test)


@pytest.mark.parametrize(
    "hash",
    [
        "{BLF-CRYPT}" + bcrypt.hashpw(b"old words", bcrypt.gensalt(4)).decode(),
        "{PBKDF2}$1$salt$1000$" + hashlib.pbkdf2_hmac("sha1", b"old words", b"salt", 1000, 20).hex(),
        "{SSHA512}" + base64.b64encode(hashlib.sha512(b"old words" + b"salt").digest() + b"salt").decode(),
    ],
    ids=["bcrypt", "pbkdf2", "ssha512"],
)
def test_who_comes_with_a_hash_logs_in_with_the_old_password_and_has_argon2id_then(tmp_path: Path, hash: str) -> None:
    async def test(world: World) -> None:
        await world.admin.set_hash("ann@example.org", hash)
        await refused(world.auth.password(ANN, b"secret", AFAR))  # the password before
        before = await world.directory.login("ann@example.org")
        assert before is not None
        assert before.credentials[0].hash == hash, "not at a login that failed"
        await world.auth.password(ANN, b"old words", AFAR)
        after = await world.directory.login("ann@example.org")
        assert after is not None
        assert after.credentials[0].hash.startswith("$argon2id$v=19$m=64,t=1,p=1$")
        assert after.credentials[0].number == before.credentials[0].number
        again = world.another_process()
        await again.password(ANN, b"old words", AFAR)
        await refused(again.password(ANN, b"Old words", AFAR))
        again.close()

    run(tmp_path, test)


def test_a_hash_leaves_no_verifier_of_the_password_before(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.admin.set_password("ann@example.org", "secret")
        assert world.directory.has_scram()
        await world.admin.set_hash("ann@example.org", "{SSHA}" + base64.b64encode(b"x" * 24).decode())
        assert not world.directory.has_scram()

    run(tmp_path, test, SCRAM)


def test_a_password_is_one_however_it_is_composed(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.admin.set_password("ann@example.org", "p\u00e4ss")
        await world.auth.password(ANN, "pa\u0308ss".encode(), AFAR)

    run(tmp_path, test)


def test_guessers_wait_longer_and_longer_and_neighbours_do_not(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.admin.add_account("bob@example.org", "secret")
        for n in range(6):
            await refused(world.auth.password(ANN, b"wrong %d" % n, AFAR))
        assert world.delays == [0.5, 1, 2, 4, 8, 15]
        world.delays.clear()

        async def note(seconds: float) -> None:  # no time passes: his neighbours come while he waits
            world.delays.append(seconds)

        world.auth._sleep = note
        await refused(world.auth.password(ANN, b"wrong again", AFAR))
        assert world.delays == [15]
        world.delays.clear()
        await world.auth.password(b"bob@example.org", b"secret", AFAR)
        await world.auth.password(ANN, b"secret", replace(AFAR, address="192.0.2.99"))
        assert world.delays == []

    run(tmp_path, test)


def test_who_asks_for_many_addresses_waits_and_can_log_in_all_the_same(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        async def note(seconds: float) -> None:  # as it is for who does not wait for one answer before he asks again
            world.delays.append(seconds)

        account = (await world.auth.password(ANN, b"secret", AFAR)).account
        world.auth._sleep = note
        for _ in range(6):
            await world.auth.asked_in_vain(account)
        assert world.delays == [0.5, 1, 2, 4, 8, 15]
        world.delays.clear()
        await world.auth.may_ask(account)  # whether the address is here or not
        assert world.delays == [pytest.approx(15)]
        with pytest.raises(TooManyQuestions):
            await world.auth.may_ask(account)
        world.delays.clear()
        await world.auth.password(ANN, b"secret", replace(AFAR, address="192.0.2.99"))
        assert world.delays == []
        bob = await world.admin.add_account("bob@example.org", "secret")
        await world.auth.may_ask(bob)
        assert world.delays == []

    run(tmp_path, test)


def test_the_owner_passes_at_once_from_a_known_place(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.auth.password(ANN, b"secret", AFAR)
        for n in range(8):
            await refused(world.auth.password(ANN, b"wrong %d" % n, AFAR))
        world.delays.clear()
        await world.auth.password(ANN, b"secret", AFAR)
        assert world.delays == []

    run(tmp_path, test)


def test_guesses_side_by_side_are_not_all_checked(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        held = asyncio.Event()

        async def hold(seconds: float) -> None:
            world.delays.append(seconds)
            await held.wait()

        for n in range(5):
            await refused(world.auth.password(ANN, b"wrong %d" % n, AFAR))
        before = world.computations
        world.auth._sleep = hold
        tries = [b"guess %d" % n for n in range(20)]
        guesses = [asyncio.ensure_future(refused(world.auth.password(ANN, one, AFAR))) for one in tries]
        await asyncio.sleep(0)
        held.set()
        reasons = await asyncio.gather(*guesses)
        assert reasons.count("too many failures") >= 17
        assert world.computations - before <= 3

    run(tmp_path, test)


def test_a_full_queue_or_a_busy_directory_is_told_apart_from_a_wrong_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(world: World) -> None:
        checks = [world.auth.password(ANN, b"secret", AFAR) for _ in range(3)]
        results = await asyncio.gather(*checks, return_exceptions=True)
        assert sum(isinstance(r, LoginUnavailable) for r in results) == 2
        assert sum(isinstance(r, Admitted) for r in results) == 1

        async def busy(address: str) -> None:
            raise Busy("The directory is busy.")

        monkeypatch.setattr(world.directory, "login", busy)
        with pytest.raises(LoginUnavailable):
            await world.auth.password(ANN, b"secret", AFAR)
        assert world.reasons == []

    run(tmp_path, test, Config(auth=AuthTable(argon2_memory=64 << 10, argon2_time=1, queue=0)))


# SASL ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "kept", "announced"),
    [
        (HERE, True, ("SCRAM-SHA-256", "PLAIN", "LOGIN")),
        (AFAR, True, ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")),
        (IN_THE_CLEAR, True, ("SCRAM-SHA-256",)),
        (HERE, False, ("PLAIN", "LOGIN")),
        (IN_THE_CLEAR, False, ()),
    ],
)
def test_announced_mechanisms(tmp_path: Path, peer: Peer, kept: bool, announced: tuple[str, ...]) -> None:
    async def test(world: World) -> None:
        assert world.auth.mechanisms(peer) == announced
        for name in announced:
            world.auth.start(name.lower(), peer)
        for name in {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "CRAM-MD5", ""} - set(announced):
            with pytest.raises(UnknownMechanism):
                world.auth.start(name, peer)

    run(tmp_path, test, SCRAM if kept else None)


def test_sasl_plain(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        exchange = world.auth.start("PLAIN", AFAR)
        assert await exchange.step(None) == b""
        admitted = await exchange.step(b"\0ann@example.org\0secret")
        assert isinstance(admitted, Admitted)
        for authzid in ("ann@example.org", "ANN@EXAMPLE.ORG"):
            message = plain_message("ann@example.org", "secret", authzid)
            assert isinstance(await world.auth.start("PLAIN", AFAR).step(message), Admitted)

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"bob@example.org\0ann@example.org\0wrong", "wrong password"),
        (b"root\0nobody@example.org\0secret", "unknown account"),
        (b"\0ann@example.org\0wrong", "wrong password"),
        (b"\0ann@example.org\0secret\0", "invalid-encoding"),
        (b"ann@example.org", "invalid-encoding"),
        (b"", "invalid-encoding"),
        (b"\0\xff\0secret", "invalid-encoding"),
        (b"\xff\0ann@example.org\0secret", "invalid-encoding"),
    ],
)
def test_sasl_plain_refusals(tmp_path: Path, message: bytes, reason: str) -> None:
    async def test(world: World) -> None:
        assert await refused(world.auth.start("PLAIN", AFAR).step(message)) == reason
        assert world.delays == [0.5]
        assert world.reasons == [reason]

    run(tmp_path, test)


def test_sasl_login(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        exchange = world.auth.start("LOGIN", AFAR)
        assert await exchange.step(None) == b"Username:"
        assert await exchange.step(ANN) == b"Password:"
        assert isinstance(await exchange.step(b"secret"), Admitted)
        exchange = world.auth.start("LOGIN", AFAR)
        await exchange.step(ANN)
        assert await refused(exchange.step(b"wrong")) == "wrong password"
        assert await refused(world.auth.start("LOGIN", AFAR).step(b"\0")) == "invalid-encoding"

    run(tmp_path, test)


async def scram(
    world: World,
    user: str = "ann@example.org",
    password: str = "secret",
    peer: Peer = AFAR,
    between: Callable[[], Awaitable[None]] | None = None,
) -> Admitted:
    """A whole exchange as a protocol leads it, -PLUS where there is a binding."""
    plus = peer.channel_binding is not None
    exchange = world.auth.start("SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256", peer)
    client = ScramClient(
        user, password, "nonce", binding=Binding.USED if plus else Binding.NONE, binding_data=BINDING if plus else b""
    )
    assert await exchange.step(None) == b""
    challenge = await exchange.step(client.first())
    assert isinstance(challenge, bytes)
    if between is not None:
        await between()
    final = await exchange.step(client.final(challenge))
    assert isinstance(final, bytes)
    client.verify(final)
    admitted = await exchange.step(b"")
    assert isinstance(admitted, Admitted)
    return admitted


@pytest.mark.parametrize("peer", [AFAR, HERE, IN_THE_CLEAR], ids=["plus", "here", "in-the-clear"])
def test_scram_by_password_and_app_password(tmp_path: Path, peer: Peer) -> None:
    async def test(world: World) -> None:
        _, text = await world.admin.add_app_password("ann@example.org", "phone", ["imap"])
        for password in ("secret", text):
            assert (await scram(world, password=password, peer=peer)).account.address == "ann@example.org"
        assert (await scram(world, user="ANN@EXAMPLE.ORG", peer=peer)).account.address == "ann@example.org"
        assert await refused(scram(world, password="wrong", peer=peer)) == "invalid-proof"
        pop3 = replace(peer, protocol="pop3")
        assert await refused(scram(world, password=text, peer=pop3)) == "app password for another protocol"
        assert world.computations == 0

    run(tmp_path, test, SCRAM)


def test_scram_asks_an_unknown_name_the_same_as_a_known_one(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        async def challenge(name: str) -> bytes:
            answer = await world.auth.start("SCRAM-SHA-256", HERE).step(f"n,,n={name},r=nonce".encode())
            assert isinstance(answer, bytes)
            return answer.partition(b",")[2]

        known, unknown = await challenge("ann@example.org"), await challenge("bob@example.org")
        assert len(known) == len(unknown)
        assert known.partition(b"i=")[2] == unknown.partition(b"i=")[2]
        assert unknown == await challenge("BOB@example.org")
        assert unknown != await challenge("cleo@example.org")
        await world.admin.add_account("none@example.org", "secret", settings=AccountSettings(scram=False))
        assert len(await challenge("none@example.org")) == len(known)
        for name in ("bob@example.org", "none@example.org", "no address"):
            assert await refused(scram(world, user=name)) == "invalid-proof"

    run(tmp_path, test, SCRAM)


def test_scram_refuses_the_disabled_and_sends_no_signature(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.admin.disable("ann@example.org")
        assert await told(scram(world), AccountDisabled) == "account disabled"

    run(tmp_path, test, SCRAM)


@pytest.mark.parametrize(
    ("mechanism", "first", "reason"),
    [
        ("SCRAM-SHA-256", b"y,,n=ann@example.org,r=n", "server-does-support-channel-binding"),
        ("SCRAM-SHA-256", b"p=tls-server-end-point,,n=ann@example.org,r=n", "channel-binding-not-supported"),
        ("SCRAM-SHA-256-PLUS", b"n,,n=ann@example.org,r=n", "channel-binding-missing"),
        ("SCRAM-SHA-256-PLUS", b"y,,n=ann@example.org,r=n", "channel-binding-missing"),
        ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=ann@example.org,r=n", "unsupported-channel-binding-type"),
        ("SCRAM-SHA-256", b"rubbish", "invalid-encoding"),
    ],
)
def test_scram_refusals(tmp_path: Path, mechanism: str, first: bytes, reason: str) -> None:
    async def test(world: World) -> None:
        assert await refused(world.auth.start(mechanism, AFAR).step(first)) == reason
        assert world.delays == [0.5]

    run(tmp_path, test, SCRAM)


def test_scram_with_another_connections_binding_is_refused(tmp_path: Path) -> None:
    """CVE-2026-33603: somebody in the middle, with a certificate of his own, passes the messages on."""

    async def test(world: World) -> None:
        assert (
            await refused(scram(world, peer=replace(AFAR, channel_binding=b"\1" * 32))) == "channel-bindings-dont-match"
        )

    run(tmp_path, test, SCRAM)


def test_scram_guessers_wait(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        for _ in range(3):
            await refused(scram(world, password="wrong"))
        assert world.delays == [0.5, 1, 2]
        exchange = world.auth.start("SCRAM-SHA-256", HERE)
        await exchange.step(b"n,,n=ann@example.org,r=n")
        assert await refused(exchange.step(b"rubbish")) == "invalid-encoding"
        assert await refused(exchange.step(None)) == "out-of-turn"

    run(tmp_path, test, SCRAM)
