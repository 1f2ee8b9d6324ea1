"""Messages that are filed together are filed as one after the other: identities, threads, octets, counters."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restante.mime.model import Analysis, Part, SearchText, SortKeys, Trait
from restante.store.annotation import AnnotationLimits
from restante.store.errors import OverQuota, TooManyKeywords
from restante.store.model import Flags, Identity, NewMessage, System
from restante.store.quota import NO_LIMITS, Quota
from restante.store.sqlite import bulk, content, emails, mailboxes
from restante.store.sqlite.append import append
from restante.store.sqlite.schema import TABLES
from restante.store.sqlite.transaction import Interned, Settings, Write
from restante.values import replace as with_changes

EXAMPLES = int(os.environ.get("RESTANTE_FILING_PROGRAMS", "60"))
INBOX, OTHER = 1, 2
SETTINGS = Settings(0, 0, 0, True, 3, 10, AnnotationLimits())


class Account:
    """An account in memory, and its commands."""

    def __init__(self) -> None:
        self.db = apsw.Connection(":memory:")
        self.db.execute(TABLES)
        self.db.execute(
            "INSERT INTO account (one, id, incarnation, modseq, email_delivery, uidvalidity, log_floor, used, file,"
            " created) VALUES (1, 'a', 'i', 1, 0, 1, 0, 0, '', 0)"
        )
        self.db.execute(
            "INSERT INTO mailbox (key, id, name, uidvalidity, uidnext, highest_modseq, created_modseq, changed_modseq)"
            " VALUES (1, 'b1', 'INBOX', 1, 1, 1, 1, 1), (2, 'b2', 'Other', 1, 1, 1, 1, 1)"
        )
        self._interned = Interned()
        self._random = random.Random(1).randbytes

    def append(self, mailbox: int, messages: Sequence[NewMessage], limits: Quota = NO_LIMITS) -> None:
        self.file(mailbox, [emails.prepare(one) for one in messages], limits)

    def file(self, mailbox: int, messages: Sequence[emails.Prepared], limits: Quota = NO_LIMITS) -> None:
        with self.db:
            modseq = int(self.db.execute("SELECT modseq FROM account").get) + 1
            tx = Write(self.db, self._interned, modseq, 1_000, self._random, SETTINGS)
            try:
                done = append(tx, mailbox, messages, limits)
            except BaseException:
                self._interned.clear()
                raise
            tx.finish()
            # Put together from what was read before and what was counted: the very object that its row gives.
            assert done.mailbox is mailboxes.mailbox_by_key(self.db, mailbox, "")

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows, change numbers left out, and identities that were drawn as the order in which they come first."""
        drawn: dict[str, str] = {}

        def named(value: object) -> object:
            if isinstance(value, str) and len(value) == 27 and value[0] in "mt" and value not in GIVEN:
                return drawn.setdefault(value, f"{value[0]} {len(drawn)}")
            return value

        return {
            table: [
                tuple(map(named, row)) for row in self.db.execute(f"SELECT {columns} FROM {table} ORDER BY {order}")
            ]
            for table, columns, order in (
                ("email", "key, id, thread, content, size, received, arrival, uidl", "key"),
                ("content", "key, digest, size, chunks, traits, pop3_size, pop3_size_utf8", "key"),
                ("chunk", "*", "key"),
                ("answer", "*", "email"),
                ("sortkey", "*", "email"),
                ("search_text", "*", "email"),
                ("thread_link", "*", "message_id, subject"),
                ("placement", "mailbox, uid, email, flagset, size, received, saved", "mailbox, uid"),
                ("pop3", "*", "mailbox, uid"),
                ("pop3_hidden", "*", "email"),
                ("flagset", "*", "number"),
                ("keyword", "*", "folded"),
                ("mailbox", "key, uidnext, messages, unseen, deleted, size, deleted_size", "key"),
                ("account", "used", "one"),
                ("sqlite_sequence", "name, seq", "name"),
            )
        }


EMAIL_IDS = ["m" + letter * 26 for letter in "abc"]
THREAD_IDS = ["t" + letter * 26 for letter in "ab"]
GIVEN = {*EMAIL_IDS, *THREAD_IDS}
IDS = ["<1@x>", "<2@x>", "<3@x>", "<4@x>", "<5@x>"]
OCTETS = [b"", b"one\r\n", b"two", b"y" * 600, random.Random(3).randbytes(content.CHUNK + 5), bytes(content.LARGE + 9)]
BLOBS = {data: content.take(data, True) for data in OCTETS}

identities = st.builds(
    Identity,
    email_id=st.none() | st.sampled_from([*EMAIL_IDS, "m", "nothing", ""]),
    thread_id=st.none() | st.sampled_from([*THREAD_IDS, "u"]),
    uidl=st.none() | st.sampled_from(["one", EMAIL_IDS[0], "", "not one", "x" * 71]),
    uid=st.none() | st.integers(1, 40),
    saved=st.none() | st.integers(1, 9),
    hidden=st.booleans(),
    retrieved=st.none() | st.integers(1, 9),
)


@st.composite
def messages(draw: st.DrawFn) -> NewMessage:
    data = draw(st.sampled_from(OCTETS))
    subject = draw(st.sampled_from(["a", "b"]))
    ids = draw(st.lists(st.sampled_from(IDS), max_size=4, unique=True))
    analysis = Analysis(
        size=len(data), traits=Trait.NONE if data.endswith(b"\r\n") else Trait.NO_FINAL_CRLF,
        root=Part(0, 0, len(data)), envelope=b"(e)", body=b"(b)", bodystructure=b"(bs)", headers=b"", preview="\ud800",
        keys=SortKeys(1, subject, False, "s", "r", "c", "f", "t", ids[0] if ids else "", tuple(ids[1:])),
        text=SearchText("s", "r", "c", "b", subject, "Subject: " + subject * draw(st.sampled_from([1, 600]))),
        surrogate_size=draw(st.none() | st.just(7)),
    )  # fmt: skip
    system = draw(st.sampled_from([System.NONE, System.SEEN, System.DELETED, System.SEEN | System.DELETED]))
    flags = Flags(system, draw(st.sampled_from([frozenset(), frozenset({"$A"}), frozenset({"$a", "$B"})])))
    identity = draw(st.just(Identity()) | identities)
    return NewMessage(BLOBS[data], analysis, flags, draw(st.integers(1, 2)), draw(st.none() | st.just(b"a")), identity)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.lists(st.tuples(st.sampled_from([INBOX, OTHER]), st.lists(messages(), max_size=12)), max_size=4))
def test_messages_filed_together_are_filed_as_one_by_one(groups: list[tuple[int, list[NewMessage]]]) -> None:
    together, alone = Account(), Account()
    for mailbox, group in groups:
        together.append(mailbox, group)
        for message in group:
            alone.append(mailbox, [message])
        assert together.everything() == alone.everything()


def test_who_has_a_uidl_of_his_own_takes_no_other_ones_emailid() -> None:
    """Wherever the two stand: a UIDL that is somebody's EMAILID gets a suffix only where that one goes by it."""
    taker = with_changes(new(1), identity=Identity(uidl=EMAIL_IDS[0]))
    other = with_changes(new(2), identity=Identity(email_id=EMAIL_IDS[0], uidl="one"))
    for group in ([taker, other], [other, taker]):
        account = Account()
        account.append(INBOX, group)
        assert account.everything()["pop3"] == []
    plain = with_changes(new(2), identity=Identity(email_id=EMAIL_IDS[0]))
    account = Account()
    account.append(INBOX, [plain, taker])
    assert account.everything()["pop3"] == [(INBOX, 2, 1, None)]


def new(number: int, *flags: str, references: Sequence[int] | None = None) -> NewMessage:
    data = b"Message %d\r\n" % number
    refs = tuple(f"<{other}@x>" for other in ([number - 1] if references is None else references))
    analysis = Analysis(
        len(data), Trait.NONE, Part(0, 0, len(data)), b"", b"", b"", b"", "",
        SortKeys(1, "", False, "", "", "", "", "", f"<{number}@x>", refs),
        SearchText("", "", "", "", "", ""),
    )  # fmt: skip
    return NewMessage(content.take(data, True), analysis, Flags.of(flags), 1)


@pytest.mark.parametrize("count", [1, bulk.FEW, bulk.FEW + 1, bulk.AT_ONCE, bulk.AT_ONCE + bulk.FEW + 1, 200])
def test_groups_of_any_length_are_filed_whole(count: int) -> None:
    together, alone = Account(), Account()
    group = [new(number) for number in range(count)]
    together.append(INBOX, group)
    for message in group:
        alone.append(INBOX, [message])
    assert together.everything() == alone.everything()
    threads: int = together.db.execute("SELECT count(DISTINCT thread) FROM email").get
    assert threads == 1, "each replies to the one before it"


def test_a_group_that_is_refused_leaves_nothing() -> None:
    account = Account()
    account.append(INBOX, [new(0, "$Here")])
    before = account.everything()
    group = [new(number, "$Other") for number in range(100)]
    with pytest.raises(OverQuota):
        account.append(INBOX, group, Quota(messages=100))
    with pytest.raises(TooManyKeywords):
        account.append(INBOX, [*group, new(100, "$A", "$B", "$C")])
    assert account.everything() == before


def test_a_long_thread_is_joined_from_whatever_end() -> None:
    """Newest first, as a copy may bring them: each message names those that come behind it."""
    together, alone = Account(), Account()
    group = [new(number) for number in range(150, 0, -1)]
    together.append(INBOX, group)
    for message in group:
        alone.append(INBOX, [message])
    assert together.everything() == alone.everything()


@pytest.mark.parametrize("filed", [0, 1, 2])
def test_a_message_that_joins_two_threads_goes_to_the_older_one(filed: int) -> None:
    """The first ones are filed before the group, or with it."""
    account = Account()
    group = [new(1, references=()), new(2, references=()), new(3, references=(2, 1)), new(4, references=(2, 1))]
    for message in group[:filed]:
        account.append(INBOX, [message])
    account.append(INBOX, group[filed:])
    first, second, third, fourth = (row[2] for row in account.everything()["email"])
    assert first != second
    assert third == fourth == first


def test_threads_that_one_message_names_are_looked_for_together() -> None:
    """Each look reads emails up to a thread's first: a sender who names a hundred must not have a hundred of them."""
    account = Account()
    account.append(INBOX, [new(number, references=()) for number in (1, 2, 3)])
    statements: list[str] = []

    def hear(_: apsw.Cursor, sql: str, __: apsw.Bindings | None) -> bool:
        statements.append(sql)
        return True

    account.db.exec_trace = hear
    account.append(INBOX, [new(4, references=(3, 2, 1))])
    assert sum("FROM email WHERE thread" in sql for sql in statements) == 1
    statements.clear()
    account.append(INBOX, [*(new(number, references=()) for number in (5, 6, 7)), new(8, references=(7, 6, 5))])
    assert not any("FROM email WHERE thread" in sql for sql in statements), "none of these is here yet"
    account.db.exec_trace = None
    threads = [row[2] for row in account.everything()["email"]]
    assert threads[3] == threads[0]
    assert threads[7] == threads[4]


def test_keys_follow_those_that_are_there_where_the_count_of_them_was_lost() -> None:
    """As where a file was mended by SQLite's own tools."""
    account = Account()
    account.append(INBOX, [new(number) for number in range(3)])
    account.db.execute("DELETE FROM sqlite_sequence")
    account.append(INBOX, [new(number) for number in range(3, 6)])
    assert [row[0] for row in account.everything()["email"]] == [1, 2, 3, 4, 5, 6]
