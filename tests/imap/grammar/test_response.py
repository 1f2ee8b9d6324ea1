"""Octets of responses, against the RFCs' examples."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.imap.grammar import response as r
from restante.imap.grammar.commands import Partial, StatusItem


@pytest.mark.parametrize(
    ("made", "octets"),
    [
        pytest.param(r.id_response([("name", "x"), ("os", None)]), b'* ID ("name" "x" "os" NIL)\r\n', id="rfc2971-3.2"),
        pytest.param(r.id_response([]), b"* ID NIL\r\n", id="rfc2971-3.2-nil"),
        pytest.param(
            r.list_response("~/Mail/foo", ["\\Noselect"], "/", False),
            b'* LIST (\\Noselect) "/" ~/Mail/foo\r\n',
            id="rfc9051-7.3.1",
        ),
        pytest.param(
            r.list_response("foo", [], None, False, ["SUBSCRIBED"]),
            b'* LIST () NIL foo ("CHILDINFO" ("SUBSCRIBED"))\r\n',
            id="rfc5258-5",
        ),
        pytest.param(
            r.list_response("NewMailbox", [], "/", True, [], "Old ü"),
            '* LIST () "/" NewMailbox ("OLDNAME" ("Old ü"))\r\n'.encode(),
            id="rfc9051-6.3.9.7",
        ),
        pytest.param(r.list_response("a b", [], "/", False, lsub=True), b'* LSUB () "/" "a b"\r\n', id="rfc3501-7.2.3"),
        pytest.param(
            r.status_response(
                "blurdybloop",
                [(StatusItem.MESSAGES, 231), (StatusItem.UIDNEXT, 44292), (StatusItem.MAILBOXID, "F1")],
                False,
            ),
            b"* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292 MAILBOXID (F1))\r\n",
            id="rfc9051-7.3.2",
        ),
        pytest.param(r.search_response([2, 3, 6]), b"* SEARCH 2 3 6\r\n", id="rfc3501-7.2.5"),
        pytest.param(r.search_response([]), b"* SEARCH\r\n", id="rfc3501-7.2.5-none"),
        pytest.param(r.search_response([2, 5], 917162500), b"* SEARCH 2 5 (MODSEQ 917162500)\r\n", id="rfc7162-3.1.5"),
        pytest.param(
            r.esearch_response(b"A282", False, 2, None, None, 3),
            b'* ESEARCH (TAG "A282") MIN 2 COUNT 3\r\n',
            id="rfc4731-3.1",
        ),
        pytest.param(
            r.esearch_response(b"a", True, None, None, [(4, 18), (21, 21)], None, 12),
            b'* ESEARCH (TAG "a") UID ALL 4:18,21 MODSEQ 12\r\n',
            id="rfc9051-7.3.4",
        ),
        pytest.param(
            r.esearch_response(b"a", False, everything=[]), b'* ESEARCH (TAG "a")\r\n', id="rfc9051-7.3.4-none"
        ),
        pytest.param(
            r.esearch_response(b"A01", True, partial=(Partial(-1, -100), [(1, 3), (9, 9)])),
            b'* ESEARCH (TAG "A01") UID PARTIAL (-1:-100 1:3,9)\r\n',
            id="rfc9394-3.1",
        ),
        pytest.param(
            r.esearch_response(b"A04", True, partial=(Partial(24500, 24000), [])),
            b'* ESEARCH (TAG "A04") UID PARTIAL (24500:24000 NIL)\r\n',
            id="rfc9394-3.1-none",
        ),
        pytest.param(
            r.esearch_response(b"tag1", True, everything=[(3002, 3002), (4004, 4004)], mailbox=(b"a/b", 503)),
            b'* ESEARCH (TAG "tag1" MAILBOX a/b UIDVALIDITY 503) UID ALL 3002,4004\r\n',
            id="rfc7377-3",
        ),
        pytest.param(
            r.esearch_response(b"B01", True, changes=[(b"ADDTO", [(0, [(32768, 32769)])])]),
            b'* ESEARCH (TAG "B01") UID ADDTO (0 32768:32769)\r\n',
            id="rfc5267-4.3.3",
        ),
        pytest.param(
            r.esearch_response(
                b"C01", True, changes=[(b"ADDTO", [(1, [(2733, 2733)]), (1, [(2732, 2732)]), (1, [(2731, 2731)])])]
            ),
            b'* ESEARCH (TAG "C01") UID ADDTO (1 2733 1 2732 1 2731)\r\n',
            id="rfc5267-4.3.3-pairs",
        ),
        pytest.param(
            r.esearch_response(
                b"B01", False, changes=[(b"REMOVEFROM", [(0, [(7, 7)])]), (b"ADDTO", [(0, [(1, 2), (9, 9)])])]
            ),
            b'* ESEARCH (TAG "B01") REMOVEFROM (0 7) ADDTO (0 1:2,9)\r\n',
            id="rfc5267-4.3.4",
        ),
        pytest.param(
            r.vanished(True, [(41, 41), (43, 116)]), b"* VANISHED (EARLIER) 41,43:116\r\n", id="rfc7162-3.2.10.1"
        ),
        pytest.param(r.vanished(False, [(405, 405)]), b"* VANISHED 405\r\n", id="rfc7162-3.2.10.2"),
        pytest.param(r.vanished(False, []), b"", id="vanished-none"),
        pytest.param(r.flag_list(["\\Seen", "$Junk"]), b"(\\Seen $Junk)", id="flag-list"),
        pytest.param(r.string(b'a"\\'), b'"a\\"\\\\"', id="quoted"),
        pytest.param(r.string(b"a\nb"), b"{3}\r\na\nb", id="literal-for-line-ends"),
        pytest.param(r.string("ü".encode()), b"{2}\r\n\xc3\xbc", id="literal-for-8-bit"),
        pytest.param(r.string("ü".encode(), True), '"ü"'.encode(), id="quoted-utf8"),
        pytest.param(r.string(b"x" * 1_001), b"{1001}\r\n" + b"x" * 1_001, id="literal-for-long"),
        pytest.param(r.nstring(None), b"NIL", id="nil"),
        pytest.param(r.nstring(b""), b'""', id="empty"),
    ],
)
def test_response(made: bytes, octets: bytes) -> None:
    assert made == octets


def test_internaldate() -> None:
    assert r.format_internaldate(837571465) == b"17-Jul-1996 02:44:25 +0000"
    assert r.format_internaldate(0) == b" 1-Jan-1970 00:00:00 +0000"
    assert r.format_internaldate(-1) == b"31-Dec-1969 23:59:59 +0000"


@settings(deadline=None)
@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_internaldate_agrees_with_the_calendar(seconds: int) -> None:
    made = r.format_internaldate(seconds).decode()
    back = datetime.strptime(made.strip(), "%d-%b-%Y %H:%M:%S %z")
    assert back == datetime.fromtimestamp(0, UTC) + (back - datetime.fromtimestamp(0, UTC))
    assert round((back - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) == seconds
