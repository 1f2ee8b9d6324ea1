"""Sort keys: base subjects, dates, message ids, names."""

from __future__ import annotations

from datetime import UTC, date, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.mime.analyse import analyse
from restante.mime.dates import parse_date
from restante.mime.keys import MAX_REFERENCES, base_subject, message_ids

SUBJECTS = [
    ("rfc5256-2.1-re", "Re: hello", "hello", True),
    ("rfc5256-2.1-many", "re: RE: Fwd: fw: hello", "hello", True),
    ("rfc5256-2.1-blob-before-re", "[list] Re: [list] hello", "hello", True),
    ("rfc5256-2.1-blob-within-re", "Re [2]: hello", "hello", True),
    ("rfc5256-2.1-trailer", "hello (fwd) (FWD) ", "hello", True),
    ("rfc5256-2.1-fwd-brackets", "[fwd: hello]", "hello", True),
    ("rfc5256-2.1-fwd-nested", "[Fwd: Re: [fwd: hello (fwd)]]", "hello", True),
    ("rfc5256-2.1-blob-only", "[hello]", "[hello]", False),
    ("rfc5256-2.1-blobs-only", "[a] [b]", "[b]", False),
    ("rfc5256-2.1-blob", "[list] hello", "hello", False),
    ("rfc5256-2.1-spaces", "a \t  b", "a b", False),
    ("rfc5256-2.1-tabs-and-continuations-alone", "a\r\n\tb\xa0\u3000 c\x0bd", "a b\xa0\u3000 c\x0bd", False),
    ("rfc5256-2.1-another-blank-is-no-space", "Re\xa0: hello", "Re\xa0: hello", False),
    ("rfc5256-2.1-re-alone", "Re:", "", True),
    ("word-that-begins-with-re", "Report: x", "Report: x", False),
    ("re-without-colon", "Re hello", "Re hello", False),
    ("no-subject", "", "", False),
]


@pytest.mark.parametrize(
    ("subject", "base", "reply"), [case[1:] for case in SUBJECTS], ids=[case[0] for case in SUBJECTS]
)
def test_base_subject(subject: str, base: str, reply: bool) -> None:
    assert base_subject(subject) == (base, reply)


@given(st.lists(st.sampled_from(["re:", "Fwd: ", "[a]", "[fwd:", "]", "(fwd)", " ", "x", "[", ":"]), max_size=12))
def test_base_subject_is_stable(pieces: list[str]) -> None:
    base, _ = base_subject("".join(pieces))
    assert base_subject(base)[0] == base


@pytest.mark.parametrize("piece", ["re:", "[a]", "[fwd:", "(fwd)", "[", "re[", "fwd [x]"])
def test_long_subjects_end(piece: str) -> None:
    base_subject(piece * 100_000)


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())  # type: ignore[arg-type,misc]  # six ints


DATES = [
    ("rfc5322-A.1.1", b"Fri, 21 Nov 1997 09:55:06 -0600", at(1997, 11, 21, 15, 55, 6)),
    ("rfc5322-A.5", b"Thu, 13 Feb 1969 23:32 -0330 (Newfoundland Time)", at(1969, 2, 14, 3, 2, 0)),
    ("rfc5322-A.6.3", b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", at(1997, 11, 21, 15, 55, 6)),
    ("rfc5322-4.3-comment-first", b"(day (not) \\) told) 21 Nov 1997 09:55:06 -0600", at(1997, 11, 21, 15, 55, 6)),
    ("rfc5322-4.3-comment-within", b"Fri (x), 21 (y) Nov 1997 09:55:06 (z) -0600", at(1997, 11, 21, 15, 55, 6)),
    ("comment-not-closed", b"Fri, 21 Nov 1997 09:55 (x -0600", at(1997, 11, 21, 9, 55, 0)),
    ("comment-closed-twice", b"Fri, 21 Nov 1997 09:55 (x)) -0600", at(1997, 11, 21, 15, 55, 0)),
    ("rfc5322-A.6.2", b"21 Nov 97 09:55:06 GMT", at(1997, 11, 21, 9, 55, 6)),
    ("rfc5256-2.2", b"31 Dec 2000 16:01:33 -0800", at(2001, 1, 1, 0, 1, 33)),
    ("rfc5322-4.3-year-of-two-digits", b"1 Jan 49 00:00 +0000", at(2049, 1, 1, 0, 0, 0)),
    ("rfc5322-4.3-year-of-three-digits", b"1 Jan 102 00:00 +0000", at(2002, 1, 1, 0, 0, 0)),
    ("rfc5322-4.3-named-zone", b"1 Jan 2000 00:00:00 PDT", at(2000, 1, 1, 7, 0, 0)),
    ("rfc5322-4.3-military-zone", b"1 Jan 2000 00:00:00 A", at(2000, 1, 1, 0, 0, 0)),
    ("rfc5322-3.3-zone-of-days", b"1 Jan 2000 10:00:00 -9959", at(2000, 1, 5, 13, 59, 0)),
    ("rfc5256-2.2-minutes-of-no-zone", b"1 Jan 2000 10:00:00 +0160", at(2000, 1, 1, 10, 0, 0)),
    ("rfc5256-2.2-bad-zone", b"1 Jan 2000 10:00:00 +9999", at(2000, 1, 1, 10, 0, 0)),
    ("rfc5256-2.2-bad-time", b"1 Jan 2000 99:00:00 +0100", at(2000, 1, 1, 0, 0, 0)),
    ("leap-second", b"31 Dec 1998 23:59:60 +0000", at(1999, 1, 1, 0, 0, 0)),
    ("ctime", b"Wed Nov 18 10:20:30 1998", at(1998, 11, 18, 10, 20, 30)),
    ("ctime-with-zone", b"Wed Nov 18 10:20:30 EST 1998", at(1998, 11, 18, 15, 20, 30)),
    ("ctime-with-offset-behind", b"Wed Nov 18 10:20:30 1998 -0500", at(1998, 11, 18, 15, 20, 30)),
    ("month-first", b"Nov 18, 1998 10:20:30 +0000", at(1998, 11, 18, 10, 20, 30)),
    ("dashes", b"18-Nov-1998 10:20:30 +0000", at(1998, 11, 18, 10, 20, 30)),
    ("dots-in-time", b"Wed, 18 Nov 1998 10.20.30 +0000", at(1998, 11, 18, 10, 20, 30)),
    ("iso", b"1998-11-18T10:20:30Z", at(1998, 11, 18, 10, 20, 30)),
    ("no-time", b"18 Nov 1998", at(1998, 11, 18, 0, 0, 0)),
    ("long-month", b"Monday, 18 November 1998 10:20 +0000", at(1998, 11, 18, 10, 20, 0)),
    ("afternoon", b"18 Nov 1998 1:20:00 PM +0000", at(1998, 11, 18, 13, 20, 0)),
    ("no-such-day", b"31 Feb 2000 10:00 +0000", None),
    ("no-such-month", b"1 Foo 2000 10:00 +0000", None),
    ("garbage", b"yesterday", None),
    ("empty", b"", None),
    ("giant", b"1" * 1_000_000, None),
]


@pytest.mark.parametrize(("field", "expected"), [case[1:] for case in DATES], ids=[case[0] for case in DATES])
def test_parse_date(field: bytes, expected: int | None) -> None:
    found = parse_date(field)
    assert (None if found is None else found.instant) == expected


def test_rfc9051_6_4_4_the_sent_day_disregards_the_zone() -> None:
    found = analyse(b"Date: 31 Dec 2000 23:01:33 -0800\r\n\r\n").keys
    assert found.sent == at(2001, 1, 1, 7, 1, 33)
    assert found.sent_day == (date(2000, 12, 31) - date(1970, 1, 1)).days


@given(st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_dates_as_the_standard_library_writes_them(when: datetime) -> None:
    found = parse_date(format_datetime(when).encode())
    assert found is not None
    assert found.instant == int(when.replace(microsecond=0).timestamp())


@given(st.binary(max_size=60))
def test_any_date_field_is_read_or_not(field: bytes) -> None:
    found = parse_date(b"1 Jan 2000 " + field)
    assert found is None or isinstance(found.instant, int)
    parse_date(field)


IDS = [
    ("rfc5256-3-quoting", b'<"01KF8JCEOCBS0045PS"@xxx.yyy.com>', ["<01KF8JCEOCBS0045PS@xxx.yyy.com>"]),
    ("several", b"<a@b> <c@d>\t<a@b>", ["<a@b>", "<c@d>", "<a@b>"]),
    ("rfc5256-3-the-last-is-the-parent", b"<r@x> <a@x> <r@x> <r@x>", ["<r@x>", "<a@x>", "<r@x>"]),
    ("the-same-quoted", b'<"r"@x> <r@x> <> <r@x> <a@x> <r@x>', ["<r@x>", "<a@x>", "<r@x>"]),
    ("text-around", b"Your message of 1 Jan <a@b> (x)", ["<a@b>"]),
    ("folding-blanks", b"<a @ b>", ["<a@b>"]),
    ("quoted-pair", b'<"a\\"b"@c>', ['<a"b@c>']),
    ("none", b"no id", []),
    ("not-closed", b"<a@b", []),
]


@pytest.mark.parametrize(("field", "expected"), [case[1:] for case in IDS], ids=[case[0] for case in IDS])
def test_message_ids(field: bytes, expected: list[str]) -> None:
    assert message_ids(field) == expected


@pytest.mark.parametrize("piece", [b"<", b'<"', b"<a", b'"', b"\\", b'<"\\'])
def test_nasty_ids_end(piece: bytes) -> None:
    message_ids(piece * 200_000)


def test_references_else_the_first_of_in_reply_to() -> None:
    both = analyse(b"References: <a@b>\r\n <c@d>\r\nIn-Reply-To: <e@f>\r\nMessage-ID: <g@h>\r\n\r\n").keys
    assert (both.references, both.message_id) == (("<a@b>", "<c@d>"), "<g@h>")
    assert analyse(b"In-Reply-To: <e@f> <g@h>\r\n\r\n").keys.references == ("<e@f>",)


@pytest.mark.parametrize(
    ("header", "references"),
    [
        (b"In-Reply-To: Message of <Mon, 1 Jan> <x@y>", ("<x@y>",)),
        (b"References: <foo>\r\nIn-Reply-To: <id@y> <z@y>", ("<id@y>",)),
        (b"References: <foo> <id@y>\r\nIn-Reply-To: <z@y>", ("<foo>", "<id@y>")),
        (b"References: <foo>\r\nIn-Reply-To: <bar>", ("<foo>",)),
        (b"In-Reply-To: <foo> <bar>", ("<foo>",)),
    ],
)
def test_rfc5256_3_the_first_valid_id_of_in_reply_to_where_references_has_none(
    header: bytes, references: tuple[str, ...]
) -> None:
    assert analyse(header + b"\r\n\r\n").keys.references == references


def test_references_are_bounded_first_and_newest_stay() -> None:
    found = analyse(b"References:" + b"".join(b" <%d@x>\r\n" % n for n in range(5_000)) + b"\r\n").keys.references
    assert len(found) == MAX_REFERENCES
    assert (found[0], found[-1]) == ("<0@x>", "<4999@x>")


def test_rfc5957_display_names() -> None:
    def shown(field: bytes) -> str:
        return analyse(b"From: " + field + b"\r\n\r\n").keys.display_from

    assert shown(b"=?utf-8?q?=C3=A9mile?= <e@x>") == "E\u0301MILE"
    assert shown(b"<e@x>") == "E@X"
    assert shown(b"Group:;") == "GROUP"
    assert shown(b"ann") == "ANN@"  # as ENVELOPE has it: ((NIL NIL "ann" ""))
    assert shown(b"") == ""


def test_keys_are_folded_and_decoded() -> None:
    found = analyse(b"From: A <Joe@x>\r\nTo: B@y, c@z\r\nCc: D@y\r\nSubject: Re: =?utf-8?q?Gr=C3=BC?=\r\n\r\n").keys
    assert (found.sender, found.recipient, found.cc) == ("JOE", "B", "D")
    assert (found.subject, found.is_reply) == ("GRU\u0308", True)


ID_PIECES = [b"<", b">", b"a@b", b" ", b"\t", b"\v", b"\xff", b"<c>", b"<c d>", b"<>", b"< >"]


@given(st.lists(st.sampled_from(ID_PIECES), max_size=12).map(b"".join))
def test_ids_without_quotes_are_read_as_those_with(field: bytes) -> None:
    """Fields without a quote have a quick way; one at the end, in no id, leads them the other."""
    assert message_ids(field) == message_ids(field + b' "')
