"""Append-only buckets of a real server: versions, and object lock. `thief` has the server's credentials and its key."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.backup.access import location_of
from restante.backup.errors import AppendOnly, BackupRefusal, LocationFailed, Missing
from restante.backup.night import night
from restante.backup.prune import GRACE, prune
from restante.backup.repository import Repository
from restante.backup.retention import Keep
from restante.backup.s3 import Bucket
from restante.backup.s3_api import Api, ApiFailed, sign
from restante.backup.s3_kept import KeptBucket, is_kept, make_kept
from restante.backup.s3_settings import Credentials, Place, Remote
from restante.backup.verify import verify
from restante.cli.main import restante
from restante.clock import system_random

from .faulty import Faulty
from .support import ANN, KEY, World, message, play, put, state
from .test_s3 import FAULTS, bucket, fresh
from .weed import ADMIN, LOCKED, OPEN, SERVER, VERSIONED, Weed

NOW = 1_800_000_000


@pytest.fixture(params=[LOCKED, VERSIONED])
def place(request: pytest.FixtureRequest, s3: Weed) -> Place:
    made = s3.place(fresh(), str(request.param), SERVER)
    make_kept(bucket(made))
    return made


def kept(place: Place, credentials: Credentials = SERVER, *, keeper: bool = False) -> KeptBucket:
    beneath = bucket(Place(place.bucket, place.prefix, place.endpoint, place.region, credentials))
    assert is_kept(beneath)
    return KeptBucket(beneath, keeper=keeper)


def test_a_signature_is_as_the_standard_says() -> None:
    """The example of Amazon's page on Signature Version 4: GET Bucket Lifecycle."""
    credentials = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    headers = sign(
        credentials, "us-east-1", "GET", "examplebucket.s3.amazonaws.com", "/", "lifecycle=", b"",
        datetime(2013, 5, 24, tzinfo=UTC),
    )  # fmt: skip
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
        "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    )


def test_a_location_says_of_itself_what_it_is(s3: Weed, place: Place) -> None:
    remote = Remote(s3.endpoint, environment={"AWS_ACCESS_KEY_ID": SERVER.id, "AWS_SECRET_ACCESS_KEY": SERVER.secret})
    found = location_of(place.url, system_random, remote)
    assert (found.append_only, found.removes) == (True, False)
    plain = location_of(f"s3://{OPEN}/{place.prefix}", system_random, remote)
    assert (plain.append_only, plain.removes) == (False, True)
    beneath = bucket(place)
    beneath.remove(".append-only")
    beneath._obstore.put(beneath._store(), f"{place.prefix}/.append-only", b"no more")
    assert is_kept(beneath), "hidden and written over"
    with pytest.raises(BackupRefusal, match="no versions"):
        make_kept(bucket(s3.place(fresh())))


def test_what_a_thief_hides_or_writes_over_is_read_as_it_was(tmp_path: Path, place: Place) -> None:
    async def scene() -> None:
        world = World(tmp_path, kept(place))
        await world.fill()
        await put(world.ann, "INBOX", *(message(n, "v" * 9_000) for n in range(6)))
        done = await world.take()
        expected = await state(world.ann)
        assert verify(world.repository(), NOW, everything=True).right
        thief = bucket(place)  # as any S3 client sees it
        files = sorted(name for name, _ in thief.names(""))
        for number, name in enumerate(files):
            if number % 2:
                thief.remove(name)
            else:
                thief._put(thief.path_of(name), os.urandom(500), "overwrite")
            if number % 4 == 3:  # hidden, and something else where it was
                thief._put(thief.path_of(name), os.urandom(500), "overwrite")
        with pytest.raises(Missing):
            thief.get(files[1])
        world.location = kept(place)
        assert dict(world.location.names("")).keys() == set(files)
        assert [name for name, _ in world.location.disturbed()] == files
        found = verify(world.repository(), NOW, everything=True)
        assert {each.name for each in found.damages} >= set(files)
        assert (found.touched, found.broken) == ([], [])
        engine, restored = await world.give(done.snapshot, tmp_path / "new")
        assert (restored.lost, await state(engine.account(ANN))) == ([], expected)
        await engine.close()
        # Put back, everybody sees it again.
        mended = verify(world.repository(), NOW, everything=True, mending=True).mended
        assert set(mended) >= set(files)
        assert kept(place).disturbed() == []
        plain, world.location = bucket(place), kept(place)
        assert all(plain.get(name) == world.location.get(name) for name in files)
        await put(world.ann, "INBOX", message(77))
        await world.take()
        assert verify(world.repository(), NOW, everything=True).right
        await world.engine.close()

    play(scene())


def test_a_lock_lets_nobody_remove_a_version(s3: Weed) -> None:
    place = s3.place(fresh(), LOCKED)
    make_kept(bucket(place))
    location = kept(place, ADMIN, keeper=True)
    location.put("a", b"first")
    api = s3.api(LOCKED)
    versions, _ = api.versions(location.path_of("a"), ("", ""))
    for version in versions:
        with pytest.raises(ApiFailed, match="AccessDenied"):
            api.remove_version(version.path, version.id)
    with pytest.raises(AppendOnly, match="locked"):
        location.remove("a")
    assert kept(place).get("a") == b"first"


def test_the_server_removes_nothing_and_its_night_is_a_good_one(tmp_path: Path, place: Place) -> None:
    async def scene() -> None:
        world = World(tmp_path, kept(place))
        await world.fill()
        await put(world.ann, "INBOX", *(message(n) for n in range(6)))
        for _ in range(3):
            world.location = kept(place)
            done = await night(world.engine, world.repository(), world.clock, "host", {}, Keep(1, 0, 0))
            assert (done.problems, done.forgotten) == ((), 0)
        world.location = kept(place)
        repository = world.repository()
        assert len(repository.snapshots()) == 3
        with pytest.raises(AppendOnly, match="append-only"):
            prune(repository, Keep(1, 0, 0), NOW)
        for name, _ in list(world.location.names("snapshots")):
            with pytest.raises(AppendOnly, match="not this machine's"):
                world.location.remove(name)
        with pytest.raises(AppendOnly):
            repository.put_file("condemned", b"x")
        await world.engine.close()

    play(scene())


def test_the_keeper_prunes_what_is_not_locked(tmp_path: Path, place: Place) -> None:
    locked = place.bucket == LOCKED

    async def scene() -> None:
        world = World(tmp_path, kept(place))
        await world.fill()
        for number in range(5):
            await put(world.ann, "INBOX", *(message(number * 10 + n, "v" * 9_000) for n in range(3)))
            await world.take()
            if number == 3:
                box = await world.ann.mailbox("INBOX")
                assert box is not None
                await world.ann.expunge(box.key, ((1, 6),), deleted_only=False)
        expected = await state(world.ann)
        thief = bucket(place)
        for name in [name for name, _ in thief.names("snapshots")]:
            thief.remove(name)  # markers, which the keeper must not take for his own
        for later in range(2):
            world.location = kept(place, ADMIN, keeper=True)
            done = prune(world.repository(), Keep(0, 0, 0, 2), NOW + later * GRACE)
        assert (done.locked > 0) is locked
        world.location = kept(place)
        repository = world.repository()
        assert len(repository.snapshots()) == (5 if locked else 2)
        found = verify(repository, NOW, everything=True)
        assert (found.touched, found.broken) == ([], [])
        latest = repository.latest()
        assert latest is not None
        engine, restored = await world.give(latest, tmp_path / "new")
        assert (restored.lost, await state(engine.account(ANN))) == ([], expected)
        await engine.close()
        await world.engine.close()

    play(scene())


def test_a_flood_of_today_pushes_out_nothing_of_before(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When an object came says the server's clock alone, so here it is asked for another answer: old ones are old."""

    async def scene() -> None:
        world = World(tmp_path, kept(place))
        await world.fill()
        for number in range(4):
            await put(world.ann, "INBOX", message(number))
            await world.take()
        old = [each.name for each in world.repository().snapshots()]
        for _ in range(12):
            world.clock.advance(31 * 86_400)
            await world.take()
        ages = {name: NOW - 86_400 * (20 - 2 * number) for number, name in enumerate(old)}
        monkeypatch.setattr(KeptBucket, "arrived", lambda self, name: float(ages.get(name.removeprefix("twin/"), NOW)))
        location = kept(place, ADMIN, keeper=True)
        done = prune(Repository.open(location, KEY, system_random), Keep(6, 0, 0), NOW, dry_run=True)
        assert [each.name for each in done.kept][:4] == old
        assert len(done.kept) == 6, "of today's one, and the newest"
        await world.engine.close()

    play(scene())


def test_the_commands(tmp_path: Path, s3: Weed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "words").write_text("three random words\n")
    place, data = f"s3://{LOCKED}/{fresh()}", ("--data", str(tmp_path / "data"))
    key = ("--passphrase-file", str(tmp_path / "words"))

    def command(*args: str, status: int = 0) -> str:
        result = CliRunner().invoke(restante, [*args])
        assert result.exit_code == status, (result.output, result.exception)
        return result.output

    no_versions = f"s3://{OPEN}/{fresh()}"
    assert "keeps no versions" in command("backup", "init", no_versions, *key, "--append-only", status=1)
    command("backup", "init", place, *key, "--append-only")
    command(*data, "domain", "add", "example.com")
    command(*data, "backup", "run", place, *key)
    assert "append-only" in command("backup", "prune", place, *key, status=1)
    assert "1 snapshot kept" in command("backup", "prune", place, *key, "--keeper")
    assert "Locked 7 files" in command("backup", "prune", place, *key, "--keeper", "--lock", "5")
    api = s3.api(LOCKED)
    versions, _ = api.versions(place.removeprefix(f"s3://{LOCKED}/"), ("", ""))
    (snapshot,) = [each for each in versions if "/snapshots/" in each.path and "/twin/" not in each.path]
    until = api.locked_until(snapshot.path, snapshot.id)
    assert until is not None
    assert until - datetime.now(UTC) > timedelta(days=4.9)
    assert "for longer" not in command("backup", "prune", place, *key, "--keeper", "--lock", "1")
    beneath = Bucket(s3.place(place.removeprefix(f"s3://{LOCKED}/"), LOCKED), system_random)
    beneath.remove(next(name for name, _ in beneath.names("snapshots")))
    said = command("backup", "list", place, *key)
    assert "is hidden by a removal" in said
    found = json.loads(CliRunner().invoke(restante, ["backup", "verify", place, *key, "--all", "--json"]).stdout)
    assert found["right"] is False
    command("backup", "verify", place, *key, "--all", "--mend", status=4)
    command("backup", "verify", place, *key, "--all")


@pytest.mark.parametrize("seed", range(max(1, FAULTS // 5)))
def test_an_append_only_bucket_over_a_line_that_fails(tmp_path: Path, s3: Weed, place: Place, seed: int) -> None:
    async def scene(way: Faulty) -> None:
        there = Place(place.bucket, place.prefix, way.endpoint, place.region, SERVER)
        world = World(tmp_path, kept(there))
        await world.fill()
        for number in range(3):
            await put(world.ann, "INBOX", *(message(number * 10 + n, "f" * 4_000) for n in range(4)))
            world.location = kept(there)
            await world.take()
        bucket(there).remove(next(name for name, _ in world.location.names("mail")))
        world.location = kept(there)
        found = verify(world.repository(), NOW, everything=True, mending=True)
        assert (len(found.damages), found.touched, found.broken) == (1, [], [])
        world.location = kept(there)
        assert verify(world.repository(), NOW, everything=True).right
        world.location = kept(there, ADMIN, keeper=True)
        prune(world.repository(), Keep(0, 0, 0, 1), NOW)
        way.share = 0
        world.location = kept(place)
        assert verify(world.repository(), NOW, everything=True).right, "what was tried again was done once"
        await world.engine.close()

    with Faulty(s3.port, seed, 0.3) as way:
        play(scene(way))
        assert sum(way.happened.values()) > 10


def test_a_clock_that_is_wrong_is_told(s3: Weed) -> None:
    place = s3.place("p")
    late = Api(place, ADMIN, lambda: datetime.now(UTC) - timedelta(hours=2))
    with pytest.raises(LocationFailed, match="clock"):
        bucket(place).attempt("", lambda: late.versions("", ("", "")))
