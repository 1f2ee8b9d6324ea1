"""What is made ready in another process is what filing would have made here: octets, rows, links."""

from __future__ import annotations

import asyncio
import os
import pickle
import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restante.analysts.pool import MANY, Analysts
from restante.mime.analyse import analyse
from restante.mime.model import DEFAULT_LIMITS
from restante.store.model import Flags, NewMessage, ReadyMessage
from restante.store.sqlite import content, emails
from restante.store.sqlite.identity import is_id, new_id, new_ids
from restante.store.sqlite.preparing import Preparing, answers_of

from .test_filing import INBOX, Account

EXAMPLES = int(os.environ.get("RESTANTE_FILING_PROGRAMS", "60"))
NOISE = random.Random(5).randbytes

FIELDS = [
    b"Subject: =?utf-8?q?=E2=82=AC?= and \xff\r\n", b"Message-ID: <a@x>\r\n", b"References: <b@x> <a@x>\r\n",
    b"From: =?iso-8859-1?q?J=F6rg?= <j@x>\r\n", b"Date: Thu, 1 Jan 2026 00:00:00 +0100\r\n", b"X: \0\r\n",
    b"Content-Type: text/plain; charset=utf-7\r\n", b"Subject: \xed\xa0\x80\r\n", b"To: a@b\n",
]  # fmt: skip
BODIES = [b"", b"text", b"text\r\n", b"y" * 700, NOISE(900), NOISE(content.CHUNK + 5), b"z" * (content.LARGE + 9)]
octets = st.builds(
    lambda fields, body: b"".join(fields) + b"\r\n" + body,
    st.lists(st.sampled_from(FIELDS), max_size=6),
    st.sampled_from(BODIES),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.lists(octets, max_size=5), st.booleans())
def test_what_was_made_elsewhere_is_what_is_made_here(messages: list[bytes], compress: bool) -> None:
    work: Preparing = pickle.loads(pickle.dumps(Preparing(DEFAULT_LIMITS, compress)))
    found = work.read(work.make(iter(messages)), messages)
    assert found == work.here(messages)
    for data, (blob, answers) in zip(messages, found, strict=True):
        assert blob == content.take(data, compress)
        wanted = answers_of(analyse(data, DEFAULT_LIMITS))
        assert answers == wanted._replace(row=wanted.row._replace(text_header=""))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.lists(st.lists(octets, max_size=5), max_size=3))
def test_it_is_filed_as_what_was_analysed_here(groups: list[list[bytes]]) -> None:
    ready, here = Account(), Account()
    for group in groups:
        ready.file(INBOX, [emails.prepared(one) for one in made_ready(group)])
        here.append(
            INBOX, [NewMessage(content.take(data, True), analyse(data, DEFAULT_LIMITS), Flags(), 1) for data in group]
        )
    assert ready.everything() == here.everything()


def made_ready(messages: Sequence[bytes]) -> list[ReadyMessage]:
    made = Preparing(DEFAULT_LIMITS, True).here(messages)
    return [ReadyMessage(blob, answers, Flags(), 1) for blob, answers in made]


def test_a_process_beside_this_one_makes_the_same() -> None:
    work = Preparing(DEFAULT_LIMITS, True)
    messages = [b"Subject: %d\r\n\r\n" % number + NOISE(number * 999) for number in range(30)]
    messages.append(b"Subject: large\r\n\r\n" + bytes(content.LARGE))

    async def go() -> None:
        analysts = Analysts(work, cores=2)
        analysts.expect(MANY)
        try:
            assert await analysts.analyse(messages) == work.here(messages)
            assert not analysts._processes._lost
        finally:
            analysts.close()

    asyncio.run(go())


def test_what_was_made_for_another_engine_is_refused() -> None:
    with pytest.raises(TypeError, match="another engine"):
        emails.prepared(ReadyMessage(content.take(b"x", True), object(), Flags(), 1))


def test_identities_that_are_drawn_together_lie_side_by_side() -> None:
    found = [[*new_ids("m", random.Random(seed).randbytes, 500)] for seed in (1, 2)]
    for ids in found:
        assert len(set(ids)) == 500
        assert all(is_id("m", one) for one in ids)
        assert len({one[:7] for one in ids}) == 1
    assert found[0][0][:7] != found[1][0][:7]
    assert [*new_ids("t", random.Random(1).randbytes, 1)] == [new_id("t", random.Random(1).randbytes)]
