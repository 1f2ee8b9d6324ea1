"""`restante backup` and the server's night with a bucket, as operators write them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from restante.cli.main import restante
from restante.cli.statuses import Exit
from restante.clock import system_random
from restante.config.load import load
from restante.server.nightly import in_process
from restante.server.nightly_state import Order

from .weed import SERVER, Weed

TEXT = b"From: Carl <carl@example.org>\nSubject: Plans\nMessage-ID: <%d@example.org>\n\nHello %d\n"


class Installation:
    """An account with three messages, and a configuration with a bucket in it."""

    def __init__(self, folder: Path, s3: Weed) -> None:
        self.folder = folder
        self.place = f"s3://open/c/{system_random(8).hex()}"
        (folder / "passphrase").write_text("three random words\n")
        credentials = folder / "credentials"
        credentials.touch(mode=0o600)
        credentials.write_text(f"[default]\naws_access_key_id={SERVER.id}\naws_secret_access_key={SERVER.secret}\n")
        self.config = folder / "restante.toml"
        self.config.write_text(
            f'data = "{folder / "data"}"\n[backup]\nlocation = "{self.place}"\nendpoint = "{s3.endpoint}"\n'
            f'credentials_file = "{credentials}"\npassphrase_file = "{folder / "passphrase"}"\n'
        )
        (folder / "mail").mkdir()
        for number in range(3):
            (folder / "mail" / f"{number}.eml").write_bytes(TEXT % (number, number))
        self("domain", "add", "example.com")
        self("account", "add", "ann@example.com", "--password-stdin", stdin=b"correct horse\n")
        self("import", str(folder / "mail"), "--account", "ann@example.com")

    def __call__(self, *args: str, status: Exit = Exit.OK, stdin: bytes = b"") -> Result:
        result = CliRunner().invoke(restante, ("--config", str(self.config), *args), input=stdin)
        assert result.exit_code == status, (result.output, result.exception)
        return result


@pytest.fixture
def here(tmp_path: Path, s3: Weed) -> Installation:
    made = Installation(tmp_path, s3)
    made("backup", "init")
    return made


def test_every_command_works_with_a_bucket(here: Installation, s3: Weed, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "3 messages" in here("backup", "run").stdout
    (row,) = json.loads(here("backup", "list", "--json").stdout)
    assert row["messages"] == 3
    assert "ann@example.com" in here("backup", "show", "latest").stdout
    assert here("backup", "find", "from:carl plans").stdout.count("Plans") == 3
    restored = here("backup", "restore", "--account", "ann@example.com", "--out", str(here.folder / "out"))
    assert "3 messages" in restored.stdout
    assert "All that was read is right." in here("backup", "verify", "--all").stdout
    here("backup", "run")
    assert "Forgot" in here("backup", "prune", "--daily", "0", "--weekly", "0", "--monthly", "0").stdout
    (here.folder / "second").write_text("other words\n")
    here("backup", "key", "add", "--new-passphrase-file", str(here.folder / "second"))
    assert len(json.loads(here("backup", "key", "list", "--json").stdout)) == 2
    here("backup", "init", status=Exit.REFUSED)
    # An empty machine has no configuration: the environment says where and who.
    for name, value in {
        "AWS_ENDPOINT_URL": s3.endpoint, "AWS_ACCESS_KEY_ID": SERVER.id, "AWS_SECRET_ACCESS_KEY": SERVER.secret,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    key = ("--passphrase-file", str(here.folder / "second"))
    new = str(here.folder / "new")
    result = CliRunner().invoke(restante, ("backup", "restore", here.place, "--all", *key, "--data", new))
    assert result.exit_code == 0, result.output
    found = CliRunner().invoke(restante, ("--data", new, "search", "--account", "ann@example.com", "Hello"))
    assert found.stdout.count("Plans") == 3


def test_the_night_uses_the_bucket_of_the_configuration(here: Installation) -> None:
    order = Order(load(here.config), str(here.folder / "data"), str(here.config))
    night = asyncio.run(in_process(order))
    assert (night.problems, night.messages) == ((), 3)
    assert night.read_back > 0


def test_wrong_credentials_are_one_line(here: Installation) -> None:
    credentials = here.folder / "credentials"
    credentials.write_text(credentials.read_text().replace(SERVER.secret, "wrong"))
    said = here("backup", "run", status=Exit.REFUSED).stderr
    assert "The secret key is not the access key's." in said
    assert "Traceback" not in said
