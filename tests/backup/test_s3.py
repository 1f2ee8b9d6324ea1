"""Backups in a bucket of a real S3 server: all that works in a folder works there, also over a line that fails."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from restante.backup import s3 as module
from restante.backup.errors import BackupRefusal, LocationFailed, NotEmpty
from restante.backup.prune import GRACE, prune
from restante.backup.retention import Keep
from restante.backup.s3 import Bucket
from restante.backup.s3_api import Version
from restante.backup.s3_kept import KeptBucket
from restante.backup.s3_settings import Credentials, Place, Remote, place_of
from restante.backup.verify import verify
from restante.clock import system_random

from .faulty import Fault, Faulty
from .support import ANN, World, message, play, put, state
from .weed import ADMIN, SERVER, Weed

FAULTS = int(os.environ.get("RESTANTE_BACKUP_FAULTS", "20"))
NOW = 1_800_000_000


def fresh() -> str:
    return f"t/{system_random(8).hex()}"


def bucket(place: Place, patience: float = module.PATIENCE) -> Bucket:
    """One whose pauses take no time."""
    return Bucket(place, system_random, patience=patience, sleep=lambda seconds: None)


def tidy(place: Place) -> None:
    location = bucket(place)
    for name, _ in list(location.names("")):
        location.remove(name)


# As in a folder --------------------------------------------------------------------------------------


def test_a_backup_lives_in_a_bucket(tmp_path: Path, s3: Weed) -> None:
    async def scene() -> None:
        location = bucket(s3.place(fresh(), credentials=SERVER))
        world = World(tmp_path, location)
        await world.fill()
        with pytest.raises(NotEmpty):
            World(tmp_path / "again", location)
        states = []
        for night in range(6):
            await put(world.ann, "INBOX", *(message(night * 10 + n, "s" * 30_000) for n in range(4)))
            await world.take()
            states.append(await state(world.ann))
        repository = world.repository()
        assert [each.data.messages for each in repository.snapshots()] == [4, 8, 12, 16, 20, 24]
        assert verify(repository, NOW, everything=True).right
        old = repository.snapshots()[2]
        engine, restored = await world.give(old, tmp_path / "old")
        assert (restored.lost, await state(engine.account(ANN))) == ([], states[2])
        await engine.close()
        done = prune(world.repository(), Keep(0, 0, 0, 2), NOW)
        assert (len(done.forgotten), done.removed) == (4, 0)
        done = prune(world.repository(), Keep(0, 0, 0, 2), NOW + GRACE)
        assert done.removed == 0 or done.octets > 0
        assert verify(world.repository(), NOW, everything=True).right
        latest = world.repository().latest()
        assert latest is not None
        engine, _ = await world.give(latest, tmp_path / "new")
        assert await state(engine.account(ANN)) == states[-1]
        await engine.close()
        await world.engine.close()

    play(scene())


def test_listings_come_in_pages(s3: Weed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED", 7)
    location = bucket(s3.place(fresh()))
    expected = {f"{folder}/{number:02x}": number for folder in ("a", "ab", "b") for number in range(20)}
    for name, size in expected.items():
        location.put(name, b"x" * size)
    assert dict(location.names("")) == expected
    assert dict(location.names("a")) == {name: size for name, size in expected.items() if name.startswith("a/")}
    assert len(list(location.names(""))) == 60


def test_two_runs_at_once_are_two_snapshots(tmp_path: Path, s3: Weed) -> None:
    import asyncio

    async def scene() -> None:
        location = bucket(s3.place(fresh()))
        world = World(tmp_path, location)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n, "t" * 5_000) for n in range(30)))
        await asyncio.gather(world.take(), world.take(), world.take())
        repository = world.repository()
        assert len(repository.snapshots()) == 3
        assert verify(repository, NOW, everything=True).right
        await world.engine.close()

    play(scene())


# Errors ----------------------------------------------------------------------------------------------


def refused(place: Place) -> LocationFailed:
    location = Bucket(place, system_random, patience=0.3, sleep=lambda seconds: None)
    with pytest.raises(LocationFailed) as caught:
        list(location.names(""))
    with pytest.raises(LocationFailed):
        location.put("a", b"x")
    assert "\n" not in str(caught.value)
    return caught.value


def test_what_is_wrong_is_told_in_a_line(s3: Weed) -> None:
    unknown = refused(s3.place("p", credentials=Credentials("nobody", "adminsecret")))
    assert "does not know the access key" in str(unknown)
    wrong = refused(s3.place("p", credentials=Credentials(ADMIN.id, "wrong")))
    assert "secret key" in str(wrong)
    denied = refused(s3.place("p", bucket="elsewhere", credentials=SERVER))
    assert "denies" in str(denied)
    absent = refused(s3.place("p", endpoint="http://127.0.0.1:1"))
    assert "Nothing answers" in str(absent)
    assert "wrong" not in "".join(map(str, (wrong, denied, absent))).replace("something is wrong", "")
    with pytest.raises(LocationFailed, match="no such bucket"):
        list(bucket(s3.place("p", bucket="not-there")).names(""))


SAID = [
    ("RequestTimeTooSkewed", 403, "clock"),
    ("NoSuchBucket", 404, "no such bucket"),
    ("ExpiredToken", 400, "expired"),
    ("AuthorizationHeaderMalformed", 400, "another region"),
    ("QuotaExceeded", 403, "no room"),
    ("SomethingElse", 418, "418 SomethingElse"),
]


@pytest.mark.parametrize(("code", "status", "text"), SAID, ids=[row[0] for row in SAID])
def test_codes_of_answers_have_words(code: str, status: int, text: str) -> None:
    from restante.backup.s3_errors import Answer

    answer = Answer.of(f"Server returned non-2xx status code: {status} X: <Error><Code>{code}</Code></Error>")
    assert text in str(answer.refusal("s3://b/p", "a"))
    assert not answer.passing


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
def test_some_answers_are_worth_another_try(status: int) -> None:
    from restante.backup.s3_errors import Answer

    assert Answer.of(f"non-2xx status code: {status} X").passing
    assert Answer.of("error sending request").passing
    assert not Answer.of("non-2xx status code: 501 X").passing
    assert not Answer.of("error sending request: InvalidCertificate(UnknownIssuer)").passing


# Settings --------------------------------------------------------------------------------------------

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}


def test_places_come_of_the_location_the_configuration_and_the_environment(tmp_path: Path) -> None:
    env = KEYS | {"AWS_ENDPOINT_URL": "https://env.example", "AWS_REGION": "eu-north-1"}
    found = place_of("s3://mail-backup/a/b/", Remote(environment=env))
    assert found == Place("mail-backup", "a/b", "https://env.example", "eu-north-1", Credentials("id", "secret"))
    found = place_of("s3://mail-backup", Remote("https://conf.example:9000/", "moon", environment=env))
    assert (found.endpoint, found.region, found.prefix) == ("https://conf.example:9000", "moon", "")
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = fid\naws_secret_access_key = fsecret\n")
    file.chmod(0o600)
    found = place_of("s3://mail-backup", Remote(credentials_file=str(file), environment=env))
    assert found.credentials == Credentials("fid", "fsecret")
    assert "fsecret" not in repr(found)
    file.chmod(0o640)
    with pytest.raises(BackupRefusal, match="by others"):
        place_of("s3://mail-backup", Remote(credentials_file=str(file), environment=env))


@pytest.mark.parametrize(
    ("said", "remote"),
    [
        ("s3://", Remote(environment=KEYS)),
        ("s3://A/b", Remote(environment=KEYS)),
        ("s3://bucket/a/../b", Remote(environment=KEYS)),
        ("s3://bucket/A", Remote(environment=KEYS)),
        ("s3://bucket", Remote("http://example.com", environment=KEYS)),
        ("s3://bucket", Remote("ftp://example.com", environment=KEYS)),
        ("s3://bucket", Remote("https://example.com/path", environment=KEYS)),
        ("s3://bucket", Remote("https://example.com:x", environment=KEYS)),
        ("s3://bucket", Remote("https://example.com", environment={})),
        ("s3://bucket", Remote(region="Ümlaut", environment=KEYS)),
    ],
)
def test_what_names_no_bucket_is_refused(said: str, remote: Remote) -> None:
    with pytest.raises(BackupRefusal):
        place_of(said, remote)


def test_http_is_for_this_machine_unless_it_is_allowed() -> None:
    for endpoint in ("http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost"):
        assert place_of("s3://bucket", Remote(endpoint, environment=KEYS)).plain_http
    assert place_of("s3://bucket", Remote("http://10.0.0.7:9000", allow_http=True, environment=KEYS)).plain_http


# A line that fails -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(FAULTS))
def test_nights_over_a_line_that_fails_are_as_others(tmp_path: Path, s3: Weed, seed: int) -> None:
    """A third of all requests fails somehow, and is tried again."""
    prefix, chance = fresh(), random.Random(seed)

    async def scene(way: Faulty) -> None:
        location = bucket(s3.place(prefix, endpoint=way.endpoint))
        world = World(tmp_path, location)
        await world.fill()
        for night in range(3):
            await put(world.ann, "INBOX", *(message(night * 10 + n, "f" * chance.randrange(9_000)) for n in range(5)))
            await world.take()
        prune(world.repository(), Keep(0, 0, 0, 2), NOW)
        prune(world.repository(), Keep(0, 0, 0, 2), NOW + GRACE)
        found = verify(world.repository(), NOW, everything=True)
        assert found.right, found
        way.share = 0
        found = verify(world.repository(), NOW, everything=True)
        assert (found.right, found.single) == (True, [])
        way.share = 0.33
        latest = world.repository().latest()
        assert latest is not None
        engine, restored = await world.give(latest, tmp_path / "new")
        assert (restored.lost, await state(engine.account(ANN))) == ([], await state(world.ann))
        await engine.close()
        await world.engine.close()

    with Faulty(s3.port, seed, 0.33) as way:
        play(scene(way))
        assert sum(way.happened.values()) > 10
    tidy(s3.place(prefix))


@pytest.mark.parametrize("seed", range(max(1, FAULTS // 4)))
def test_a_run_that_gives_up_leaves_a_valid_repository(tmp_path: Path, s3: Weed, seed: int) -> None:
    """A line so bad that no second try is made; after each run the repository is looked at over a good one."""
    place = s3.place(fresh())

    async def scene(way: Faulty) -> None:
        good = bucket(place)
        world = World(tmp_path, good)
        await world.fill()
        outcomes = set()
        for number in range(12):
            await put(world.ann, "INBOX", *(message(number * 10 + n, "f" * 4_000) for n in range(3)))
            world.location = bucket(s3.place(place.prefix, endpoint=way.endpoint), patience=0.0)
            way.share = 0.08
            try:
                await world.take()
                if number % 3 == 2:
                    prune(world.repository(), Keep(0, 0, 0, 2), NOW + number * GRACE)
                outcomes.add(True)
            except LocationFailed:
                outcomes.add(False)
            way.share = 0
            world.location = good
            left = verify(world.repository(), NOW, everything=True)
            assert (left.touched, left.broken, [each for each in left.damages if not each.spare]) == ([], [], [])
        assert False in outcomes
        done = await world.take()
        assert verify(world.repository(), NOW, everything=True).right
        engine, restored = await world.give(done.snapshot, tmp_path / "new")
        assert (restored.lost, await state(engine.account(ANN))) == ([], await state(world.ann))
        await engine.close()
        await world.engine.close()

    with Faulty(s3.port, seed, 0) as way:
        play(scene(way))
    tidy(place)


def test_what_took_effect_unheard_is_not_done_twice(s3: Weed) -> None:
    place = s3.place(fresh())
    with Faulty(s3.port, 1, 1.0, (Fault.EFFECT_CUT,)) as way:
        location = bucket(s3.place(place.prefix, endpoint=way.endpoint), patience=0.2)
        with pytest.raises(LocationFailed):
            location.put("a", b"first")
        way.share = 0
        location.put("a", b"second")  # as `put` promises: what is there stays
    assert bucket(place).get("a") == b"first"


def test_an_answer_that_ends_in_the_middle_is_asked_for_again(s3: Weed) -> None:
    place, data = s3.place(fresh()), os.urandom(300_000)
    bucket(place).put("a", data)
    with Faulty(s3.port, 3, 0.7, (Fault.TRUNCATED, Fault.CRAWLING)) as way:
        location = bucket(s3.place(place.prefix, endpoint=way.endpoint))
        for _ in range(10):
            assert location.get("a") == data
            assert location.get("a", 1000, 200_000) == data[1000:201_000]
        assert way.happened[Fault.TRUNCATED] > 3


def test_pauses_grow_and_end(s3: Weed) -> None:
    pauses: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    with Faulty(s3.port, 3, 0.0, (Fault.ERROR_503,)) as way:
        place = s3.place(fresh(), endpoint=way.endpoint)
        location = Bucket(place, system_random, sleep=sleep, monotonic=lambda: now[0])
        location.put("a", b"x")
        way.share = 1.0
        with pytest.raises(LocationFailed, match="503"):
            location.get("a")
    assert module.PATIENCE - 20 < sum(pauses) < module.PATIENCE
    assert pauses[0] <= 0.1
    assert max(pauses) <= module.PAUSES[1]
    assert 20 < len(pauses) < 60


def test_a_first_backup_has_several_uploads_at_once(tmp_path: Path, s3: Weed, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from restante.backup import writer

    monkeypatch.setattr(writer, "PACK", 100_000)
    here, most, lock = [0], [0], threading.Lock()

    class Counting(Bucket):
        def put(self, name: str, data: bytes) -> None:
            with lock:
                here[0] += 1
                most[0] = max(most[0], here[0])
            super().put(name, data)
            with lock:
                here[0] -= 1

    async def scene(way: Faulty) -> None:
        world = World(tmp_path, Counting(s3.place(fresh(), endpoint=way.endpoint), system_random))
        await world.fill()
        chance = random.Random(1)
        await put(world.ann, "INBOX", *(message(n, chance.randbytes(30_000).hex()) for n in range(60)))
        await world.take()
        assert verify(world.repository(), NOW, everything=True).right
        await world.engine.close()

    with Faulty(s3.port, 1, 1.0, (Fault.DELAYED,)) as way:
        play(scene(way))
    assert 2 <= most[0] <= module.AT_ONCE


def test_a_server_without_conditional_requests_is_asked_first(s3: Weed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    location = bucket(s3.place(fresh()), patience=1.0)
    location.put("a", b"first")
    location.put("a", b"second")
    assert location.get("a") == b"first"
    assert not location._conditional


def test_a_listing_that_begins_anew_is_not_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a server that does not know where to go on it would never end."""
    pytest.importorskip("obstore")
    location = bucket(Place("bucket", "p", "http://127.0.0.1:9", "us-east-1", Credentials("a", "b")))
    first = [(f"p/mail/{number:04}", 1) for number in range(module.LISTED)]
    monkeypatch.setattr(location, "_page", lambda prefix, after: first)
    with pytest.raises(LocationFailed, match="first objects"):
        list(location.names(""))
    kept = KeptBucket(location)
    version = Version("p/mail/0000", "1", False, True, 1, "", 0.0)
    monkeypatch.setattr(kept._api, "versions", lambda prefix, after: ([version], ("p/mail/0000", "1")))
    with pytest.raises(LocationFailed, match="first objects"):
        list(kept.names(""))


def test_without_obstore_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(BackupRefusal, match="pip install"):
        Bucket(Place("bucket", "p", "", "us-east-1", None), system_random)
