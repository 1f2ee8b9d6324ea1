"""What an administrator may do, and what is refused with which words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from restante.accounts.address import BadAddress
from restante.accounts.admin import Admin, BadPassword, BadSetting, Unchanged
from restante.config.model import AccountsTable, Config
from restante.errors import Refusal
from restante.store.directory import AccountSettings, DirectoryRefusal, Exists, NotFound
from restante.store.errors import MailboxExists

from .world import AUTH, World, run

SCRAM = Config(auth=AUTH, accounts=AccountsTable(scram=True))


def test_a_new_account_has_its_mailboxes_roles_and_subscriptions(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        account = await world.admin.account("ANN@example.org")
        assert re.fullmatch("[a-z2-7]{26}", account.id)
        assert account.created == int(world.clock.now())
        store = world.engine.stores[account.id]
        assert store.made == [(n, f"\\{n}") for n in ("Drafts", "Sent", "Junk", "Trash", "Archive")]
        assert store.subscribed == ["INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"]
        bare = await world.admin.add_account("bob@example.org", mailboxes=False, quota=10, demo=True)
        assert world.engine.stores[bare.id].made == []
        assert (bare.quota, bare.demo, bare.enabled) == (10, True, True)

    run(tmp_path, test)


def test_an_account_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.engine.refuse = "Trash"
        with pytest.raises(MailboxExists):
            await world.admin.add_account("bob@example.org", "secret")
        assert len(world.engine.stores) == 1
        assert [a.address for a in await world.admin.accounts()] == ["ann@example.org"]

    run(tmp_path, test)


Step = Callable[[World], Awaitable[object]]

REFUSALS: list[tuple[str, Step, type[Refusal]]] = [
    ("same", lambda w: w.admin.add_account("Ann@EXAMPLE.org"), Exists),
    ("no-domain", lambda w: w.admin.add_account("a@else.example"), NotFound),
    ("no-address", lambda w: w.admin.add_account("ann"), BadAddress),
    ("minus", lambda w: w.admin.add_account("-ann@example.org"), BadAddress),
    ("minus-looked-at", lambda w: w.admin.check_new("-ann@example.org"), BadAddress),
    ("minus-quoted", lambda w: w.admin.add_account('"-ann"@example.org'), BadAddress),
    ("control", lambda w: w.admin.add_account("a\0b@example.org"), BadAddress),
    ("empty-password", lambda w: w.admin.add_account("b@example.org", ""), BadPassword),
    ("nul-password", lambda w: w.admin.set_password("ann@example.org", "a\0b"), BadPassword),
    ("surrogate-password", lambda w: w.admin.set_password("ann@example.org", "a\ud800b"), BadPassword),
    ("long-password", lambda w: w.admin.set_password("ann@example.org", "x" * 1025), BadPassword),
    ("nobodys-password", lambda w: w.admin.set_password("bob@example.org", "x"), NotFound),
    ("quota", lambda w: w.admin.set_quota("ann@example.org", -5), BadSetting),
    ("new-quota", lambda w: w.admin.add_account("b@example.org", quota=-1), BadSetting),
    ("delete", lambda w: w.admin.set_settings("ann@example.org", AccountSettings("burn")), BadSetting),
    ("leave", lambda w: w.admin.set_settings("ann@example.org", AccountSettings(pop3_leave_days=-2)), BadSetting),
    ("protocol", lambda w: w.admin.add_app_password("ann@example.org", "x", ["gopher"]), BadSetting),
    ("label", lambda w: w.admin.add_app_password("ann@example.org", " "), BadSetting),
    ("label-lines", lambda w: w.admin.add_app_password("ann@example.org", "a\nb"), BadSetting),
    ("revoke-password", lambda w: w.admin.revoke_app_password("ann@example.org", 1), NotFound),
    ("revoke-nothing", lambda w: w.admin.revoke_app_password("ann@example.org", 9), NotFound),
    ("alias-of-nothing", lambda w: w.admin.put_alias("x@example.org", []), BadSetting),
    ("alias-of-itself", lambda w: w.admin.put_alias("x@example.org", ["X@example.org"]), BadSetting),
    ("alias-of-nobody", lambda w: w.admin.put_alias("x@example.org", ["bob@example.org"]), NotFound),
    ("alias-to-elsewhere", lambda w: w.admin.put_alias("x@example.org", ["ann@gmail.example"]), BadSetting),
    ("alias-elsewhere", lambda w: w.admin.put_alias("x@else.example", ["ann@example.org"]), NotFound),
    ("alias-over-account", lambda w: w.admin.put_alias("ann@example.org", ["ann2@example.org"]), NotFound),
    ("no-alias", lambda w: w.admin.remove_alias("x@example.org"), NotFound),
    ("domain-twice", lambda w: w.admin.add_domain("EXAMPLE.org"), Exists),
    ("domain-syntax", lambda w: w.admin.add_domain("exam ple"), BadAddress),
    ("catch-all", lambda w: w.admin.add_domain("b.example", catch_all="a@c.example"), NotFound),
    ("domain-in-use", lambda w: w.admin.remove_domain("example.org"), DirectoryRefusal),
    ("no-such-domain", lambda w: w.admin.remove_domain("b.example"), NotFound),
    ("remove-nobody", lambda w: w.admin.remove_account("bob@example.org"), NotFound),
]


@pytest.mark.parametrize(("step", "kind"), [pytest.param(s, k, id=i) for i, s, k in REFUSALS])
def test_refusals(tmp_path: Path, step: Step, kind: type[Refusal]) -> None:
    async def test(world: World) -> None:
        before = await world.directory.login("ann@example.org")
        with pytest.raises(kind):
            await step(world)
        assert await world.directory.login("ann@example.org") == before
        assert len(world.engine.stores) == 1

    run(tmp_path, test)


def test_an_account_goes_with_its_store(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.admin.remove_account("ann@example.org")
        assert world.engine.stores == {}
        assert await world.admin.accounts() == []
        await world.admin.remove_domain("example.org")

    run(tmp_path, test)


def test_accounts_are_listed_over_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(world: World) -> None:
        whole = world.directory.accounts

        async def in_twos(after: str = "", limit: int = 2) -> object:
            return await whole(after, 2)

        monkeypatch.setattr(world.directory, "accounts", in_twos)
        for name in "edcb":
            await world.admin.add_account(f"{name}@example.org")
        assert [a.address[0] for a in await world.admin.accounts()] == ["a", "b", "c", "d", "e"]

    run(tmp_path, test)


def test_aliases_that_lead_back_to_themselves_are_refused(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        put = world.admin.put_alias
        await put("first@example.org", ["ann@example.org"])
        await put("second@example.org", ["first@example.org", "ann@example.org"])
        await put("third@example.org", ["second@example.org", "first@example.org"])
        with pytest.raises(BadSetting, match="lead back"):
            await put("FIRST@example.org", ["ann@example.org", "third@example.org"])
        await put("third@example.org", ["ann@example.org"])
        await put("first@example.org", ["third@example.org"])

    run(tmp_path, test)


def test_an_alias_to_elsewhere_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        with pytest.raises(BadSetting) as refused:
            await world.admin.put_alias("x@example.org", ["ann@example.org", "ann@gmail.example"])
        assert "ann@gmail.example is an address elsewhere" in refused.value.text
        assert "outbound queue" in str(refused.value)
        assert await world.admin.aliases() == []

    run(tmp_path, test)


def test_what_another_process_sets_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have looked at what there is before either has changed it."""
    ann, same = "ann@example.org", Unchanged.YES

    async def test(world: World) -> None:
        admin = world.admin

        async def both(first: Awaitable[object], second: Awaitable[object], look: str) -> None:
            looked = getattr(type(admin), look)

            async def looks(self: Admin, name: str) -> object:
                monkeypatch.setattr(type(admin), look, looked)
                found: object = await looked(self, name)
                await first
                return found

            monkeypatch.setattr(type(admin), look, looks)
            await second

        await both(admin.set_quota(ann, 7, same, same), admin.set_quota(ann, same, 8, same), "account")
        account = await admin.account(ann)
        assert (account.quota, account.quota_messages, account.quota_mailboxes) == (7, 8, None)
        await both(
            admin.set_settings(ann, lambda there: replace(there, pop3_delete="keep")),
            admin.set_settings(ann, lambda there: replace(there, scram=True)),
            "account",
        )
        assert (await admin.account(ann)).settings == AccountSettings("keep", scram=True)
        await both(
            admin.set_domain("example.org", catch_all=ann),
            admin.set_domain("example.org", scram=True),
            "_local_domain",
        )
        (domain,) = await admin.domains()
        assert (domain.catch_all, domain.scram) == (ann, True)

    run(tmp_path, test)


def test_of_two_aliases_that_would_make_a_circle_at_once_one_is_refused(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        x, y = "x@example.org", "y@example.org"
        for name in (x, y):
            await world.admin.put_alias(name, ["ann@example.org"])
        done = await asyncio.gather(
            world.admin.put_alias(x, [y]), world.admin.put_alias(y, [x]), return_exceptions=True
        )
        assert sum(isinstance(each, BadSetting) for each in done) == 1, done
        assert ["ann@example.org"] in [list(alias.targets) for alias in await world.admin.aliases()]

    run(tmp_path, test)


def test_settings_quota_and_aliases_are_kept(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.admin.set_quota("ann@example.org", 7)
        assert (await world.admin.account("ann@example.org")).quota == 7
        await world.admin.set_quota("ann@example.org", None)
        assert (await world.admin.account("ann@example.org")).quota is None
        await world.admin.set_settings("ann@example.org", AccountSettings("keep", 0))
        assert (await world.admin.account("ann@example.org")).settings == AccountSettings("keep", 0)
        alias = await world.admin.put_alias("Team@Example.org", ["ANN@example.org"] * 2)
        assert alias.targets == ("ANN@example.org",)
        assert await world.admin.aliases() == [alias]
        with pytest.raises(Exists):
            await world.admin.add_account("team@example.org")
        await world.admin.remove_alias("TEAM@example.org")

    run(tmp_path, test)


def test_an_international_domain_is_one_domain(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        assert (await world.admin.add_domain("B\u00fccher.example")).name == "xn--bcher-kva.example"
        await world.admin.add_account("andr\u00e9@b\u00fccher.example")
        assert (
            await world.admin.account("ANDR\u00c9@xn--bcher-kva.example")
        ).address == "andr\u00e9@xn--bcher-kva.example"

    run(tmp_path, test)


def test_no_verifier_is_kept_by_default(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.admin.add_app_password("ann@example.org", "phone")
        login = await world.directory.login("ann@example.org")
        assert login is not None
        assert [c.scram for c in login.credentials] == [None, None]
        assert not world.directory.has_scram()

    run(tmp_path, test)


def test_verifiers_are_kept_where_configured_over_one_salt(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.admin.add_app_password("ann@example.org", "phone")
        await world.admin.set_password("ann@example.org", "another")
        login = await world.directory.login("ann@example.org")
        assert login is not None
        assert all(c.scram for c in login.credentials)
        assert (len(login.credentials), len(login.salt), login.iterations) == (2, 16, 4096)
        await world.admin.set_settings("ann@example.org", AccountSettings(scram=False))
        await world.admin.set_password("ann@example.org", "third")
        after = await world.directory.login("ann@example.org")
        assert after is not None
        assert [c.scram is None for c in after.credentials] == [True, False]

    run(tmp_path, test, SCRAM)


def test_a_lone_password_gets_a_fresh_salt(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        before = await world.directory.login("ann@example.org")
        await world.admin.set_password("ann@example.org", "secret")
        after = await world.directory.login("ann@example.org")
        assert before is not None
        assert after is not None
        assert before.salt != after.salt

    run(tmp_path, test, SCRAM)


def test_a_domain_or_an_account_may_ask_for_verifiers(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.admin.add_domain("b.example", scram=True)
        await world.admin.add_account("bob@b.example", "secret")
        await world.admin.add_account("cleo@example.org", "secret", settings=AccountSettings(scram=True))
        for address, kept in (("bob@b.example", True), ("cleo@example.org", True), ("ann@example.org", False)):
            login = await world.directory.login(address)
            assert login is not None
            assert (login.credentials[0].scram is not None) == kept

    run(tmp_path, test)


def test_app_passwords_are_listed_and_revoked(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        credential, text = await world.admin.add_app_password("ann@example.org", " phone ", ["imap"])
        assert (credential.label, credential.protocols) == ("phone", frozenset({"imap"}))
        assert text.replace("-", "") not in credential.hash
        listed = await world.admin.app_passwords("ann@example.org")
        assert listed == [credential]
        await world.admin.revoke_app_password("ann@example.org", credential.number)
        assert await world.admin.app_passwords("ann@example.org") == []

    run(tmp_path, test)
