"""Accounts named to `restante backup` in another way than they are kept, as every other command takes them."""

from __future__ import annotations

import pytest

from .test_backup import Cli, cli

__all__ = ["cli"]


@pytest.mark.parametrize("address", ["J\u00fcrgen@B\u00fccher.example", "j\u00fcrgen@xn--bcher-kva.example."])
def test_an_account_is_found_however_its_domain_is_written(cli: Cli, address: str) -> None:
    cli.data("domain", "add", "b\u00fccher.example")
    cli.data("account", "add", "j\u00fcrgen@b\u00fccher.example", "--password-stdin", stdin=b"correct horse\n")
    message = b"From: Carl <carl@example.org>\nSubject: Plans\n\nHello\n"
    (cli.folder / "mail" / "one.eml").write_bytes(message)
    cli.data("import", str(cli.folder / "mail" / "one.eml"), "--account", address)
    cli.data("backup", "run", cli.place, *cli.key, "--account", address)
    cli("backup", "show", "--account", address, "--location", cli.place, *cli.key)
    assert "Plans" in cli("backup", "find", "plans", "--account", address, "--location", cli.place, *cli.key).stdout
    cli("backup", "drill", cli.place, *cli.key, "--account", address)
    cli.data("backup", "restore", cli.place, *cli.key, "--account", address, "--into", address)
