"""Moving an account: the proof names every message, and `verify` tells damage from what people do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from restante.sync.migrate.model import Depth, Wishes
from restante.sync.migrate.proof import ProofRefusal, read
from restante.sync.migrate.verify import Kind, Of, Verification
from restante.sync.model import Added, Message

from .memory import MemorySide
from .moving import Move, text, total

pytestmark = pytest.mark.in_memory


def test_the_proof_names_each_message_on_both_sides(move: Move) -> None:
    move.run()
    lines = move.lines()
    assert [lines[0]["kind"], lines[-1]["kind"]] == ["proof", "end"]
    messages = [line for line in lines if line["kind"] == "message"]
    assert len(messages) == 15
    for line in messages:
        box = move.target.boxes[line["mailbox"]]
        there, here = box.messages[line["target_uid"]], move.source.boxes[line["mailbox"]].messages[line["uid"]]
        assert there.data == here.data
        assert line["size"] == len(here.data)
    read(move.proof)


def test_the_proof_is_of_what_the_target_holds_not_of_what_was_sent(move: Move) -> None:
    """A target that takes a message, answers well, and keeps something else."""

    class Lying:
        def __init__(self, side: MemorySide) -> None:
            self._side = side

        def __getattr__(self, name: str) -> Any:
            return getattr(self._side, name)

        async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
            answers = await self._side.add(name, messages)
            for message, answer in zip(messages, answers, strict=True):
                stored = self._side.disk.boxes[name].messages[answer.uid]
                if message.data == text(1):
                    stored.data = stored.data.replace(b"text", b"tixt")
                if message.data == text(2):
                    self._side.disk.expunge(name, answer.uid)
                if message.data == text(4):
                    stored.received += 3600
            return answers

    report = move.run(wrap=Lying)
    assert report.counts is not None
    assert (report.counts.content, report.counts.missing, report.counts.date) == (1, 1, 1)
    found = {line["wrong"][0]: line["uid"] for line in move.lines() if line.get("wrong")}
    assert found == {"content": 2, "missing": 3, "date": 5}
    quick = Wishes(depth=Depth.QUICK)
    assert move.run(quick).counts is not None


def test_a_quick_proof_reads_no_bodies_back(move: Move) -> None:
    report = move.run(Wishes(depth=Depth.QUICK))
    assert move.sides[1].fetched == 0
    assert report.counts is not None
    assert report.counts.same == 15
    assert not move.verify().findings
    move.target.boxes["Gesendet"].messages[1].data += b"more"
    assert [each.kind for each in move.verify().findings] == [Kind.CONTENT]


def test_mail_that_comes_during_the_run_is_new_not_missing(move: Move) -> None:
    def deliver(side: MemorySide) -> Any:
        class Late:
            def __getattr__(self, name: str) -> Any:
                return getattr(side, name)

            async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
                if name == "INBOX":
                    move.source.deliver("INBOX", text(500))
                return await side.add(name, messages)

        return Late()

    report = move.run(wrap=deliver)
    assert report.counts is not None
    assert (report.counts.new, report.counts.damaged) == (1, 0)
    assert any("1 came" in note for note in report.notes)
    assert not move.verify().damaged
    assert total(move.run(), "copied") == 1


@pytest.mark.parametrize("hurt", ["cut", "changed", "edited", "empty", "other"])
def test_a_proof_that_is_not_whole_is_refused(move: Move, hurt: str) -> None:
    move.run()
    lines = move.proof.read_bytes().splitlines(keepends=True)
    if hurt == "cut":
        move.proof.write_bytes(b"".join(lines[:-3]))
    elif hurt == "changed":
        move.proof.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    elif hurt == "edited":
        move.proof.write_bytes(b"".join(lines).replace(b'"size":79', b'"size":97'))
        assert move.proof.read_bytes() != b"".join(lines)
    elif hurt == "empty":
        move.proof.write_bytes(b"")
    else:
        move.proof.write_bytes(b"no proof\n")
    with pytest.raises(ProofRefusal):
        move.verify()


def kinds(found: Verification) -> Counter[Kind]:
    return Counter(each.kind for each in found.findings)


def test_verify_tells_damage_from_what_people_do(move: Move) -> None:
    move.run()
    assert move.verify().same == 15
    assert move.verify(Of.SOURCE).same == 15
    inbox = move.target.boxes["INBOX"]
    by_data = {each.data: uid for uid, each in inbox.messages.items()}
    move.target.flag("INBOX", by_data[text(0)], frozenset({"\\Flagged"}))
    found = move.verify()
    assert kinds(found) == {Kind.FLAGS: 1}
    assert not found.damaged
    move.target.move("INBOX", by_data[text(1)], "Empty")
    found = move.verify()
    assert kinds(found) == {Kind.FLAGS: 1, Kind.MOVED: 1}
    assert not found.damaged
    move.target.expunge("INBOX", by_data[text(2)])
    inbox.messages[by_data[text(4)]].data = text(4).replace(b"text", b"tixt")
    inbox.messages[by_data[text(6)]].received += 1
    found = move.verify()
    assert kinds(found) == {Kind.FLAGS: 1, Kind.MOVED: 1, Kind.MISSING: 1, Kind.CONTENT: 1, Kind.DATE: 1}
    assert found.damaged
    (missing,) = [each for each in found.findings if each.kind is Kind.MISSING]
    assert (missing.mailbox, missing.uid, missing.source_uid) == ("INBOX", by_data[text(2)], 3)
    move.target.deliver("Work/2026/July", text(999))  # mail that comes there is no matter of the proof
    assert kinds(move.verify()) == kinds(found)


def test_one_of_two_equal_messages_does_not_stand_for_both(move: Move) -> None:
    move.run()
    twins = [uid for uid, each in move.target.boxes["INBOX"].messages.items() if each.data == text(3)]
    move.target.expunge("INBOX", twins[1])
    assert kinds(move.verify()) == {Kind.MISSING: 1}


def test_verify_finds_messages_after_uids_began_anew(move: Move) -> None:
    move.run()
    move.target.renumber("INBOX")
    found = move.verify()
    assert kinds(found) == {Kind.RENUMBERED: 10}
    assert not found.damaged
    move.target.delete("Gesendet")
    assert kinds(move.verify()) == {Kind.RENUMBERED: 10, Kind.MISSING: 1}
