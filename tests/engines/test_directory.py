"""What every engine's directory promises. An engine joins by adding an opener to `OPENERS`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from restante.clock import ManualClock
from restante.store.directory import (
    Account,
    AccountSettings,
    Alias,
    Credential,
    Directory,
    DirectoryRefusal,
    Domain,
    Exists,
    Login,
    NotFound,
    Scram,
    fold_address,
)
from restante.store.sqlite.directory import SqliteDirectory

Opener = Callable[[Path], "AsyncIterator[Directory]"]


async def open_sqlite(folder: Path) -> AsyncIterator[Directory]:
    directory = SqliteDirectory(folder / "directory.db", ManualClock(), os.urandom)
    yield directory
    await directory.close()


OPENERS: dict[str, Opener] = {"sqlite": open_sqlite}


@pytest.fixture(params=sorted(OPENERS))
def opener(request: pytest.FixtureRequest) -> Opener:
    return OPENERS[request.param]


def account(name: str = "ann", **more: object) -> Account:
    made = Account(f"id-{name}", f"{name}@example.org", "example.org", True, None, AccountSettings(), False, 7, 1)
    return replace(made, **more)  # type: ignore[arg-type]  # fields by name, checked by the dataclass


def password(hash: str = "h1", **more: object) -> Credential:
    return replace(Credential(0, "password", "", hash, created=5), **more)  # type: ignore[arg-type]  # as above


def run(opener: Opener, folder: Path, test: Callable[[Directory], Awaitable[None]]) -> None:
    """`test` with an empty directory that has the domain example.org."""

    async def main() -> None:
        async with asynccontextmanager(opener)(folder) as directory:
            await directory.add_domain(Domain("example.org", created=1))
            await test(directory)

    asyncio.run(main())


async def login_of(directory: Directory, address: str = "ann@example.org") -> Login:
    login = await directory.login(address)
    assert login is not None
    return login


def test_domains_are_kept_found_and_removed(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        other = Domain("alpha.example", "ann@example.org", True, 9)
        await directory.add_domain(other)
        assert [d.name for d in await directory.domains()] == ["alpha.example", "example.org"]
        assert await directory.domain("ALPHA.example") == other
        assert await directory.domain("beta.example") is None
        with pytest.raises(Exists):
            await directory.add_domain(other)
        await directory.remove_domain("alpha.example")
        with pytest.raises(NotFound):
            await directory.remove_domain("alpha.example")

    run(opener, tmp_path, test)


def test_a_domain_in_use_stays(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.add_account(account())
        with pytest.raises(DirectoryRefusal, match="accounts"):
            await directory.remove_domain("example.org")
        await directory.remove_account("id-ann")
        await directory.put_alias(Alias("all@example.org", ("x@example.org",)))
        with pytest.raises(DirectoryRefusal, match="aliases"):
            await directory.remove_domain("example.org")

    run(opener, tmp_path, test)


def test_an_account_is_found_without_regard_to_case_and_kept_as_given(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        made = account("Ann", quota=5, settings=AccountSettings("trash", 3, False, True), demo=True)
        await directory.add_account(made)
        assert await directory.account("aNN@EXAMPLE.org") == made
        assert await directory.account_by_id("id-Ann") == made
        assert await directory.account("bob@example.org") is None
        assert await directory.account_by_id("id-ann") is None
        with pytest.raises(Exists):
            await directory.add_account(account("ANN"))

    run(opener, tmp_path, test)


def test_decomposed_and_composed_names_are_one(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.add_account(account("andr\u00e9"))
        assert await directory.account("ANDRE\u0301@example.org") is not None

    run(opener, tmp_path, test)


@pytest.mark.parametrize("name", ["o'brien", "50%", "a*b", "x)(y", "back\\slash", 'q"; DROP TABLE account; --', "a\0b"])
def test_names_with_special_characters_are_only_names(opener: Opener, tmp_path: Path, name: str) -> None:
    async def test(directory: Directory) -> None:
        assert await directory.login(f"{name}@example.org") is None
        await directory.add_account(account("victim"))
        await directory.add_account(account(name))
        assert (await login_of(directory, f"{name}@example.org")).account.id == f"id-{name}"
        assert len(await directory.accounts()) == 2

    run(opener, tmp_path, test)


def test_accounts_come_in_pages_by_address(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        for name in ("Cleo", "ann", "Bob"):
            await directory.add_account(account(name))
        assert [a.address[:3] for a in await directory.accounts(limit=2)] == ["ann", "Bob"]
        assert [a.address[:3] for a in await directory.accounts("BOB@example.org")] == ["Cle"]

    run(opener, tmp_path, test)


def test_an_account_needs_its_domain_and_a_free_address(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        with pytest.raises(NotFound):
            await directory.add_account(account(domain="else.example"))
        await directory.put_alias(Alias("ann@example.org", ("x@example.org",)))
        with pytest.raises(Exists):
            await directory.add_account(account("Ann"))
        await directory.add_account(account("bob"))
        with pytest.raises(Exists):
            await directory.put_alias(Alias("BOB@example.org", ("x@example.org",)))

    run(opener, tmp_path, test)


def test_aliases_are_replaced_and_removed(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.put_alias(Alias("Team@example.org", ("a@example.org",), 3))
        await directory.put_alias(Alias("team@example.org", ("b@example.org", 'c"\u00e9@example.org'), 4))
        found = await directory.alias("TEAM@example.org")
        assert found is not None
        assert found.targets == ("b@example.org", 'c"\u00e9@example.org')
        assert await directory.aliases() == [found]
        with pytest.raises(NotFound):
            await directory.put_alias(Alias("team@else.example", ("b@example.org",)))
        await directory.remove_alias("team@EXAMPLE.org")
        with pytest.raises(NotFound):
            await directory.remove_alias("team@example.org")

    run(opener, tmp_path, test)


def test_updates_change_what_is_given(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.add_account(account())
        await directory.update_account("id-ann", quota=10)
        await directory.update_account("id-ann", settings=AccountSettings(pop3_seen=False))
        now = await directory.account("ann@example.org")
        assert now == account(quota=10, settings=AccountSettings(pop3_seen=False))
        await directory.update_account("id-ann", quota=-1)
        assert await directory.account("ann@example.org") == replace(now, quota=None)
        with pytest.raises(NotFound):
            await directory.update_account("nobody", quota=1)

    run(opener, tmp_path, test)


def test_a_login_has_all_credentials_and_the_salt(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.add_account(account())
        login = await login_of(directory)
        assert (login.account, login.credentials) == (account(), ())
        first = await directory.put_credential("id-ann", password())
        app = Credential(0, "app", "phone", "h2", frozenset({"imap", "pop3"}), Scram(b"s" * 32, b"k" * 32), 6)
        second = await directory.put_credential("id-ann", app, salt=b"salt", iterations=4096)
        assert second != first
        login = await login_of(directory, "ANN@example.org")
        assert login.credentials == (password(number=first), replace(app, number=second))
        assert (login.salt, login.iterations) == (b"salt", 4096)
        assert await directory.login("bob@example.org") is None

    run(opener, tmp_path, test)


def test_a_password_replaces_the_password_alone(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.add_account(account())
        number = await directory.put_credential("id-ann", password())
        await directory.put_credential("id-ann", Credential(0, "app", "x", "h2"))
        assert await directory.put_credential("id-ann", password("h3")) == number
        assert [c.hash for c in (await login_of(directory)).credentials] == ["h3", "h2"]

    run(opener, tmp_path, test)


def test_a_credential_that_goes_or_has_another_secret_closes_what_it_opened(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.add_account(account())
        number = await directory.put_credential("id-ann", password())
        app = await directory.put_credential("id-ann", Credential(0, "app", "x", "h2"))
        before = (await directory.closures(None)).number
        first = await login_of(directory)
        kept = replace(first.credentials[0], hash="hashed anew")
        await directory.put_credential("id-ann", kept, if_version=first.account.credential_version)
        assert (await directory.closures(before)).accounts == ()
        assert (await login_of(directory)).lets_go_on(first.credentials[0].opener)
        assert await directory.put_credential("id-ann", replace(kept, hash="another")) == number
        assert (await directory.closures(before)).accounts == ("id-ann",)
        login = await login_of(directory)
        assert not login.lets_go_on(first.credentials[0].opener), "though it was made in the same second"
        assert login.lets_go_on(login.credentials[0].opener)
        assert login.lets_go_on(login.credentials[1].opener)
        for hash in ("a third", "a fourth"):  # all in one second: none has the time of one before it
            await directory.put_credential("id-ann", replace(kept, hash=hash))
            login = await login_of(directory)
            assert not login.lets_go_on(first.credentials[0].opener)
        between = (await directory.closures(before)).number
        await directory.remove_credential("id-ann", app)
        assert (await directory.closures(between)).accounts == ("id-ann",)
        assert not (await login_of(directory)).lets_go_on(login.credentials[1].opener)

    run(opener, tmp_path, test)


def test_numbers_of_removed_credentials_do_not_come_back(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.add_account(account())
        first = await directory.put_credential("id-ann", Credential(0, "app", "x", "h"))
        await directory.remove_credential("id-ann", first)
        assert await directory.put_credential("id-ann", Credential(0, "app", "y", "h")) != first
        with pytest.raises(NotFound):
            await directory.remove_credential("id-ann", first)
        with pytest.raises(NotFound):
            await directory.put_credential("id-ann", Credential(first, "app", "z", "h"))
        with pytest.raises(NotFound):
            await directory.put_credential("nobody", password())

    run(opener, tmp_path, test)


def test_the_credential_version_grows_with_each_change_of_who_may_log_in(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.add_account(account())
        number = 0

        async def put() -> None:
            nonlocal number
            number = await directory.put_credential("id-ann", Credential(number, "app", "x", "h"))

        changes: list[Callable[[], Awaitable[object]]] = [
            lambda: directory.put_credential("id-ann", password()),
            lambda: directory.put_credential("id-ann", password("h2")),
            put,
            put,
            lambda: directory.remove_credential("id-ann", number),
            lambda: directory.update_account("id-ann", enabled=False),
            lambda: directory.update_account("id-ann", enabled=True),
        ]
        for change in changes:
            before = (await login_of(directory)).account.credential_version
            await change()
            assert (await login_of(directory)).account.credential_version > before
        before = (await login_of(directory)).account.credential_version
        await directory.update_account("id-ann", quota=3, enabled=True)
        await directory.touch_credential("id-ann", 1, 99)
        assert (await login_of(directory)).account.credential_version == before

    run(opener, tmp_path, test)


def test_a_credential_is_not_put_over_a_newer_one(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.add_account(account())
        await directory.put_credential("id-ann", password())
        seen = (await login_of(directory)).account.credential_version
        await directory.put_credential("id-ann", password("new"))
        with pytest.raises(DirectoryRefusal):
            await directory.put_credential("id-ann", password("old, rehashed"), if_version=seen)
        assert (await login_of(directory)).credentials[0].hash == "new"

    run(opener, tmp_path, test)


def test_a_salt_is_not_changed_under_another_verifier(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.add_account(account())
        assert not directory.has_scram()
        keys = Scram(b"s" * 32, b"k" * 32)
        await directory.put_credential("id-ann", password(scram=keys), salt=b"one", iterations=4096)
        await directory.put_credential("id-ann", password(scram=keys), salt=b"two", iterations=4096)
        assert (await login_of(directory)).salt == b"two"
        assert directory.has_scram()
        with pytest.raises(DirectoryRefusal):
            await directory.put_credential(
                "id-ann", Credential(0, "app", "x", "h", scram=keys), salt=b"three", iterations=4096
            )
        login = await login_of(directory)
        assert (login.salt, len(login.credentials)) == (b"two", 1)

    run(opener, tmp_path, test)


def test_an_account_goes_with_its_credentials(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.add_account(account())
        await directory.put_credential("id-ann", password())
        await directory.remove_account("id-ann")
        assert await directory.login("ann@example.org") is None
        with pytest.raises(NotFound):
            await directory.remove_account("id-ann")
        await directory.add_account(account(id="another"))
        assert (await login_of(directory)).credentials == ()

    run(opener, tmp_path, test)


def test_last_uses_are_kept_when_closed_and_never_go_back(opener: Opener, tmp_path: Path) -> None:
    async def first(directory: Directory) -> None:
        await directory.add_account(account())
        number = await directory.put_credential("id-ann", password())
        for when in (50, 70, 60):
            await directory.touch_credential("id-ann", number, when)

    async def second() -> None:
        async with asynccontextmanager(opener)(tmp_path) as directory:
            assert (await login_of(directory)).credentials[0].last_used == 70

    run(opener, tmp_path, first)
    asyncio.run(second())


@pytest.mark.parametrize(
    ("accounts", "default", "smallest"),
    [
        ([], 5, 5),
        ([], -1, -1),
        ([None], 5, 5),
        ([3], 5, 3),
        ([3], 1, 3),
        ([3, None], 1, 1),
        ([-1], 5, -1),
        ([-1, 9], -1, 9),
        ([-1, None], 5, 5),
        ([0, 7], 5, 0),
    ],
)
def test_the_smallest_leave_days_is_that_of_enabled_accounts(
    opener: Opener, tmp_path: Path, accounts: list[int | None], default: int, smallest: int
) -> None:
    async def test(directory: Directory) -> None:
        off = account("off", enabled=False, settings=AccountSettings(pop3_leave_days=0))
        await directory.add_account(off)
        for i, days in enumerate(accounts):
            await directory.add_account(account(f"n{i}", settings=AccountSettings(pop3_leave_days=days)))
        assert await directory.smallest_leave_days(default) == smallest

    run(opener, tmp_path, test)


def test_a_secret_is_made_once(opener: Opener, tmp_path: Path) -> None:
    made: list[bytes] = []

    async def first(directory: Directory) -> None:
        made.append(await directory.secret("a"))
        assert await directory.secret("a") == made[0]
        assert await directory.secret("b") != made[0]
        assert len(made[0]) == 32

    async def second() -> None:
        async with asynccontextmanager(opener)(tmp_path) as directory:
            assert await directory.secret("a") == made[0]

    run(opener, tmp_path, first)
    asyncio.run(second())


def test_duplicates_are_listed_newest_first(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        for i in range(5):
            await directory.log_duplicate("id-ann", bytes([i]) * 32, 100 + i, f"m{i}")
        assert await directory.duplicates(2) == [("id-ann", 104, "m4"), ("id-ann", 103, "m3")]

    run(opener, tmp_path, test)


OTHER_PROCESS = """
import asyncio, os, sys
from pathlib import Path
from restante.clock import SystemClock
from restante.store.directory import Account, AccountSettings, Credential
from restante.store.sqlite.directory import SqliteDirectory

async def main(folder, who):
    directory = SqliteDirectory(Path(folder) / "directory.db", SystemClock(), os.urandom)
    for i in range(25):
        name = f"p{who}n{i}"
        await directory.add_account(
            Account(name, f"{name}@example.org", "example.org", True, None, AccountSettings(), False, 1, 1)
        )
        await directory.put_credential("id-ann", Credential(0, "app", name, "h"))
    sys.stdout.write((await directory.secret("shared")).hex())
    await directory.close()

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


async def write_beside(folder: Path, number: int) -> bytes:
    """Another process's writes; what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OTHER_PROCESS, str(folder), str(number), stdout=subprocess.PIPE
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return printed


def test_processes_write_at_once_and_see_each_other(tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        await directory.add_account(account())
        before = (await login_of(directory)).account.credential_version
        secrets = set(await asyncio.gather(*(write_beside(tmp_path, n) for n in range(3))))
        assert secrets == {(await directory.secret("shared")).hex().encode()}
        assert len(await directory.accounts()) == 76
        login = await login_of(directory)
        assert len({c.number for c in login.credentials}) == 75
        assert login.account.credential_version == before + 75

    run(open_sqlite, tmp_path, test)


def test_folding_is_stable() -> None:
    for text in ("Stra\u00dfe", "\u0130stanbul", "A\u0308b", "\u1e9e", "ANN"):
        assert fold_address(fold_address(text)) == fold_address(text)


D1, D2 = b"1" * 32, b"2" * 32
INFO = "info@example.org"


def test_a_delivery_stands_in_the_journal_until_it_ends(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        journal = directory.deliveries
        assert await journal.find(D1, INFO) is None
        begun = await journal.begin(D1, INFO, 100)
        assert (len(begun.token), begun.done) == (16, frozenset())
        assert await journal.begin(D1, INFO, 200) == begun, "a second try goes on with the first one's token"
        assert (await journal.begin(D2, INFO, 200)).token != begun.token
        await journal.note(D1, INFO, frozenset({"b.0", "a.0"}))
        assert await journal.find(D1, INFO) == replace(begun, done=frozenset({"a.0", "b.0"}))
        assert await journal.any_to(INFO)
        assert not await journal.any_to("Info@example.org")
        await journal.end(D1, INFO)
        assert await journal.find(D1, INFO) is None
        await journal.end(D1, INFO)
        await journal.note(D1, INFO, frozenset({"a.0"}))
        assert await journal.find(D1, INFO) is None
        assert [await journal.expire(200), await journal.expire(201), await journal.expire(201)] == [0, 1, 0]
        assert not await journal.any_to(INFO)

    run(opener, tmp_path, test)


def test_a_delivery_is_held_by_one_at_a_time(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        inside: list[int] = []

        async def hold(n: int) -> None:
            async with directory.deliveries.lock(D1, INFO):
                inside.append(n)
                assert len(inside) == 1
                await asyncio.sleep(0)
                inside.clear()

        await asyncio.gather(*(hold(n) for n in range(8)))

    run(opener, tmp_path, test)


@pytest.mark.parametrize(("wait", "outcome"), [(60.0, b"held"), (0.0, b"InUse")], ids=["waits", "not for ever"])
def test_a_delivery_held_by_another_process_is_waited_for(
    opener: Opener, tmp_path: Path, wait: float, outcome: bytes
) -> None:
    async def test(directory: Directory) -> None:
        async with directory.deliveries.lock(D1, INFO), directory.deliveries.lock(D2, INFO):
            program = [sys.executable, "-c", HOLDER, str(tmp_path), str(wait)]
            other = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
            assert other.stdout is not None
            assert await other.stdout.readline() == b"another: held\n"
            assert await other.stdout.readline() == b"taken\n", "it has asked, and not got it"
            if not wait:
                assert await other.stdout.read() == b"the same: InUse\n"
        assert (await other.stdout.read() if wait else b"the same: InUse\n") == b"the same: " + outcome + b"\n"
        assert await other.wait() == 0

    run(opener, tmp_path, test)


HOLDER = """
import asyncio, fcntl, os, sys
from pathlib import Path
from restante.clock import SystemClock
from restante.store.errors import InUse
from restante.store.sqlite import deliveries
from restante.store.sqlite.directory import SqliteDirectory

lockf, told = fcntl.lockf, []

def telling(*arguments):
    try:
        lockf(*arguments)
    except BlockingIOError:
        if not told:
            told.append(print("taken", flush=True))
        raise

async def main():
    deliveries.WAIT, fcntl.lockf = float(sys.argv[2]), telling
    directory = SqliteDirectory(Path(sys.argv[1]) / "directory.db", SystemClock(), os.urandom)
    for which, digest in (("another", b"3"), ("the same", b"1")):
        try:
            async with directory.deliveries.lock(digest * 32, "info@example.org"):
                print(f"{which}: held", flush=True)
        except InUse:
            print(f"{which}: InUse", flush=True)
    await directory.close()

asyncio.run(main())
"""


def test_a_mailbox_id_belongs_to_one_account(opener: Opener, tmp_path: Path) -> None:
    async def test(directory: Directory) -> None:
        for name in ("ann", "bob", "cy"):
            await directory.add_account(account(name))
        assert not await directory.claim_mailbox_id("b1", "id-bob", "id-ann"), "its own account is here"
        assert await directory.claim_mailbox_id("b1", "id-ann", "id-ann")
        assert await directory.claim_mailbox_id("b2", "id-bob", "id-elsewhere")
        assert await directory.claim_mailbox_id("b2", "id-bob", "id-elsewhere"), "again"
        assert not await directory.claim_mailbox_id("b2", "id-cy", "id-elsewhere")
        await directory.remove_account("id-bob")
        assert await directory.claim_mailbox_id("b2", "id-cy", "id-elsewhere")

    run(opener, tmp_path, test)
