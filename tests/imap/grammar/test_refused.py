"""Commands with right borders and wrong content: BAD or NO, with a reason."""

from __future__ import annotations

import pytest

from restante.imap.grammar.commands import Fetch, Search, Store
from restante.imap.grammar.reader import Bad, ReaderLimits
from restante.query import language as q

from .helpers import bad, read

ARGUMENTS = [
    b"LANGUAGE ",
    b'LANGUAGE ""',
    b"LANGUAGE de_AT",
    b"LANGUAGE waytoolong9",
    b"LANGUAGE 1de",
    b"LANGUAGE de-",
    b"LANGUAGE" + b" de" * 51,
    b"LANGUAGE de" + b"-a" * 50,
    b"COMPRESS",
    b"COMPRESS LZW",
    b"COMPRESS DEFLATE now",
    b"UNAUTHENTICATE now",
    b"SELECT",
    b"SELECT ",
    b"SELECT a b",
    b"SELECT a%",
    b"SELECT x (NOSUCH)",
    b"SELECT x ()",
    b"SELECT x (QRESYNC (0 1))",
    b"SELECT x (QRESYNC (1 1 1:*))",
    b"SELECT x (QRESYNC (1 1 $))",
    b"SELECT x (QRESYNC (1 9223372036854775808))",
    b"SELECT x (QRESYNC (1 1) QRESYNC (1 1))",
    b"CREATE x (USE \\Drafts)",
    b"CREATE x (USE (Drafts))",
    b"CREATE x (NOSUCH)",
    b"RENAME a",
    b'LIST ""',
    b'LIST "" ()',
    b'LIST (NOSUCH) "" *',
    b'LIST (RECURSIVEMATCH) "" *',
    b'LIST (RECURSIVEMATCH REMOTE) "" *',
    b'LIST "" * RETURN (NOSUCH)',
    b'LIST "" * RETURN (STATUS)',
    b'LIST "" * RETURN (STATUS ())',
    b'LIST "" * NOSUCH',
    b"STATUS x ()",
    b"STATUS x (NOSUCH)",
    b"STATUS x MESSAGES",
    b"SETACL x",
    b"SETACL x y",
    b"SETACL x y z w",
    b'SETACL x "" ' + b"l" * 101,
    b"SETACL x " + b"y" * 1001 + b" l",
    b"SETACL x {2+}\r\n\xff\xfe l",
    b"DELETEACL x",
    b"GETACL",
    b"LISTRIGHTS x",
    b"MYRIGHTS",
    b"GETQUOTA",
    b"GETQUOTAROOT",
    b"SETQUOTA x",
    b"SETQUOTA x STORAGE 5",
    b"SETQUOTA x (STORAGE)",
    b"SETQUOTA x (STORAGE -1)",
    b"SETQUOTA x (STORAGE 9223372036854775808)",
    b"SETQUOTA x (STORAGE 1 STORAGE 2)",
    b"APPEND x",
    b"APPEND x hello",
    b'APPEND x "hello"',
    b'APPEND x "30-Feb-2000 00:00:00 +0000" {1+}\r\nx',
    b'APPEND x "01-Foo-2000 00:00:00 +0000" {1+}\r\nx',
    b'APPEND x "01-Jan-2000 24:00:00 +0000" {1+}\r\nx',
    b'APPEND x "01-Jan-2000 00:00:00 +0060" {1+}\r\nx',
    b'APPEND x "01-Jan-2000 00:00:00 +2400" {1+}\r\nx',
    b'APPEND x "01-Jan-0001 00:00:00 +2359" {1+}\r\nx',
    b'APPEND x "01-Jan-0000 00:00:00 +0000" {1+}\r\nx',
    b"APPEND x (\\Seen {1+}\r\nx",
    b"APPEND x UTF8 ({1+}\r\nx",
    b"APPEND x {1+}\r\nx ",
    b"APPEND x  {1+}\r\nx",
    b"APPEND x {1+}\r\nx   {1+}\r\nx",
    b"APPEND x {1+}\r\nx y",
    b"APPEND x {1+}\r\nx{1+}\r\ny",
    b"APPEND x {1+}\r\nx (\\Seen)",
    b"APPEND x CATENATE ()",
    b"APPEND x CATENATE (URL)",
    b"APPEND x CATENATE (URL u",
    b"APPEND x CATENATE (URL u )",
    b"APPEND x CATENATE (TEXT hello)",
    b"APPEND x CATENATE (LITERAL {1+}\r\nx)",
    b"APPEND x CATENATE (UTF8 {1+}\r\nx)",
    b"APPEND x CATENATE (TEXT UTF8 (~{1+}\r\nx))",
    b"APPEND x CATENATE(URL u)",
    b"REPLACE x y {1+}\r\nx",
    b"REPLACE 0 y {1+}\r\nx",
    b"REPLACE 1:2 y {1+}\r\nx",
    b"REPLACE 1,2 y {1+}\r\nx",
    b"REPLACE $ y {1+}\r\nx",
    b"REPLACE 4294967296 y {1+}\r\nx",
    b"REPLACE 1 y",
    b"REPLACE 1 y {1+}\r\nx {1+}\r\nx",
    b"UID REPLACE 1",
    b"FETCH 0 FLAGS",
    b"FETCH 1,, FLAGS",
    b"FETCH ,1 FLAGS",
    b"FETCH 1: FLAGS",
    b"FETCH 1:2:3 FLAGS",
    b"FETCH 01 FLAGS",
    b"FETCH 4294967296 FLAGS",
    b"FETCH 1",
    b"FETCH 1 ()",
    b"FETCH 1 (ALL)",
    b"FETCH 1 NOSUCH",
    b"FETCH 1 FLAGS[]",
    b"FETCH 1 BODYSTRUCTURE[]",
    b"FETCH 1 BODY[",
    b"FETCH 1 BODY[0]",
    b"FETCH 1 BODY[1.]",
    b"FETCH 1 BODY[MIME]",
    b"FETCH 1 BODY[1.NOSUCH]",
    b"FETCH 1 BODY[HEADER.FIELDS]",
    b"FETCH 1 BODY[HEADER.FIELDS ()]",
    b'FETCH 1 BODY[HEADER.FIELDS ("a:b")]',
    b'FETCH 1 BODY[HEADER.FIELDS ("a b")]',
    b"FETCH 1 BODY[]<0>",
    b"FETCH 1 BODY[]<0.0>",
    b"FETCH 1 BODY[]<1.9223372036854775808>",
    b"FETCH 1 BODY[]<-1.5>",
    b"FETCH 1 BODY[" + b"1." * 200 + b"1]",
    b"FETCH 1 BINARY[TEXT]",
    b"FETCH 1 BINARY.SIZE[1]<0.1>",
    b"FETCH 1 PREVIEW (EAGER)",
    b"FETCH 1 (PREVIEW (LAZY)",
    b"FETCH 1 FLAGS (VANISHED)",
    b"FETCH 1 FLAGS (PARTIAL 1:2)",
    b"UID FETCH 1 FLAGS (PARTIAL 1:2 PARTIAL 1:2)",
    b"UID FETCH 1 FLAGS (PARTIAL 1)",
    b"UID FETCH 1 FLAGS (PARTIAL 1:*)",
    b"UID FETCH 1 FLAGS (PARTIAL 1:2 VANISHED)",
    b"UID FETCH 1 FLAGS ()",
    b"ESEARCH",
    b"ESEARCH IN () ALL",
    b"ESEARCH IN (selected)",
    b"ESEARCH IN (selected-delayed) ALL",
    b"ESEARCH IN (mailboxes) ALL",
    b"ESEARCH IN (mailboxes ()) ALL",
    b"ESEARCH IN (personal a) ALL",
    b"ESEARCH IN (subtree (a b) ALL",
    b"ESEARCH IN (selected (x)) ALL",
    b"ESEARCH IN ((x)) ALL",
    b"ESEARCH RETURN (ALL) IN (selected) ALL",
    b"ESEARCH IN (mailboxes (" + b"a " * 1_001 + b"a)) ALL",
    b"SEARCH RETURN (UPDATE ()) ALL",
    b"SEARCH RETURN (UPDATE (FLAGS) ALL",
    b"SEARCH RETURN (CONTEXT (x)) ALL",
    b"CANCELUPDATE",
    b"CANCELUPDATE B01",
    b'CANCELUPDATE "B01" ',
    b'CANCELUPDATE "B01""B02"',
    b"SEARCH FILTER",
    b"SEARCH FILTER a/b",
    b'SEARCH FILTER "a"',
    b"SEARCH UIDAFTER 0",
    b"SEARCH UIDAFTER *",
    b"SEARCH UIDBEFORE 4294967296",
    b"SEARCH UIDBEFORE 1:2",
    b"SEARCH RETURN (PARTIAL) ALL",
    b"SEARCH RETURN (PARTIAL 1:-2) ALL",
    b"SEARCH RETURN (PARTIAL 0:2) ALL",
    b"SEARCH RETURN (PARTIAL -1:-4294967296) ALL",
    b"SEARCH RETURN (PARTIAL 1:99999999999) ALL",
    b"SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL",
    b"SEARCH RETURN (PARTIAL 1:2 ALL) ALL",
    b"SEARCH RETURN (ALL PARTIAL 1:2) ALL",
    b"FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
    b"UID FETCH 1 FLAGS (VANISHED)",
    b"UID FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
    b"UID FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)",
    b"STORE 1 FLAGS",
    b"STORE 1 NOSUCH (\\Seen)",
    b"STORE 1 +FLAGS (\\Seen",
    b"STORE 1 +FLAGS (\\*)",
    b"STORE 1 +FLAGS (a]b)",
    b"STORE 1 (UNCHANGEDSINCE x) FLAGS ()",
    b"COPY 1",
    b"MOVE x y",
    b"EXPUNGE 1",
    b"UID EXPUNGE",
    b"ENABLE",
    b"ENABLE ",
    b"ID",
    b"ID x",
    b'ID ("a")',
    b'ID ("a" b)',
    b"ID (" + b'"a" NIL ' * 30 + b'"b" NIL)',
    b'ID ("' + b"a" * 31 + b'" NIL)',
    b"AUTHENTICATE",
    b"AUTHENTICATE PLAIN ",
    b"AUTHENTICATE PLAIN x",
    b"AUTHENTICATE PLAIN ====",
    b"AUTHENTICATE PLAIN AGEAYg",
    b"LOGIN",
    b"LOGIN u",
    b"LOGIN u ",
    b"LOGIN u p x",
    b"SEARCH",
    b"SEARCH ",
    b"SEARCH ()",
    b"SEARCH (ALL",
    b"SEARCH ALL)",
    b"SEARCH NOT",
    b"SEARCH OR ALL",
    b"SEARCH OR ALL (",
    b"SEARCH NOSUCH",
    b"SEARCH ALLX",
    b"SEARCH ALL-X",
    b"SEARCH FROM",
    b"SEARCH ON 30-Feb-2000",
    b"SEARCH ON x",
    b"SEARCH ON 1-Jan-99999",
    b"SEARCH LARGER x",
    b"SEARCH LARGER 99999999999999999999999999",
    b"SEARCH YOUNGER 0",
    b"SEARCH EMAILID a.b",
    b"SEARCH MODSEQ",
    b'SEARCH MODSEQ "/flags/x" nosuch 1',
    b"SEARCH RETURN (NOSUCH) ALL",
    b"SEARCH RETURN (ALL)",
    b"SEARCH CHARSET UTF-8",
    b"SEARCH CHARSET UTF-8 ",
    b'SEARCH HEADER {1+}\r\n\xff ""',
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=[line[:40].decode("latin-1") for line in ARGUMENTS])
def test_wrong_arguments_are_bad(arguments: bytes) -> None:
    event = bad(b"t1 " + arguments + b"\r\n")
    assert (event.tag, event.no, event.code, event.fatal) == (b"t1", False, b"", False)
    assert event.text
    assert event.text.isascii()
    assert event.text.isprintable()


@pytest.mark.parametrize(
    "name",
    [
        b"&AGE-",  # base64 of printable ASCII
        b"&Jjo",
        b"&Jjo!",
        b"&2AA-",  # half a surrogate pair
        b"&U,BTFw-&ZeVnLIqe-",  # a superfluous shift
        b"&U,BTFx-",  # bits that stand for nothing
        b"R&D",
        b"!#$&'+,-.0123456789:;<=>?@^_`|[}",
    ],
)
def test_a_name_that_modified_utf7_cannot_have_is_no_mailbox(name: bytes) -> None:
    """Any astring is right by the syntax (RFC 9051 9); that no mailbox has it is NO (RFC 5530 3)."""
    for command in (b"SELECT %b", b"STATUS %b (MESSAGES)", b"CREATE %b", b"RENAME a %b", b"COPY 1 %b"):
        event = bad(b"t1 " + command % name + b"\r\n")
        assert (event.tag, event.no, event.code, event.fatal) == (b"t1", True, b"CANNOT", False)


def test_a_name_of_other_than_ascii_is_bad_without_utf8() -> None:
    assert not bad(b't1 SELECT "\xc3\xbc&"\r\n').no


def test_unknown_charset_is_no_with_those_that_are_known() -> None:
    event = bad(b"a SEARCH CHARSET X-NOSUCH ALL\r\n")
    assert event.no
    assert event.code.startswith(b"BADCHARSET (US-ASCII UTF-8 ")
    assert event.code.endswith(b")")


@pytest.mark.parametrize(
    "search",
    [
        b"SEARCH SUBJECT {1+}\r\n\xe9",
        b'UID SEARCH SUBJECT "\xe9"',
        b"SEARCH CHARSET US-ASCII SUBJECT {2+}\r\n\xc3\xa9",
        b'SORT (DATE) UTF-8 SUBJECT "\xe9"',
    ],
)
@pytest.mark.parametrize("utf8", [False, True])
def test_a_string_that_its_charset_has_not_is_no(search: bytes, utf8: bool) -> None:
    """RFC 3501 6.4.4: can't search that. JavaMail searches by itself then; after a BAD it gives up."""
    event = bad(b"a " + search + b"\r\n", utf8)
    assert (event.tag, event.no, event.code, event.unsaves) == (b"a", True, b"", False)
    assert bad(b'b SEARCH RETURN (SAVE) SUBJECT "\xe9"\r\n', utf8).unsaves


@pytest.mark.parametrize("codec", [b"rot13", b"base64", b"idna", b"utf-7", b"unicode_escape", b"mbcs", b"../x"])
def test_a_charset_is_never_a_look_up_of_any_codec(codec: bytes) -> None:
    assert bad(b"a SEARCH CHARSET " + codec + b" TEXT x\r\n").no


def test_control_characters_in_a_mailbox_name_cannot_be() -> None:
    assert bad(b"a CREATE &AAoADQ-x\r\n").code == b"CANNOT"
    assert bad(b"a CREATE {3+}\r\na\nb\r\n", utf8=True) == Bad(
        b"a", "A mailbox name holds no control characters", b"CANNOT", True
    )


def test_a_flag_name_is_bounded() -> None:
    assert isinstance(read(b"a STORE 1 FLAGS (" + b"k" * 255 + b")\r\n")[0], Store)
    assert bad(b"a STORE 1 FLAGS (" + b"k" * 256 + b")\r\n").code == b"LIMIT"


# Limits of SEARCH and of sets ---------------------------------------------------------------------------


def test_parentheses_and_not_nest_up_to_the_limit() -> None:
    for opening, closing in ((b"(", b")"), (b"NOT ", b""), (b"(NOT ", b")"), (b"NOT OR SEEN (", b")")):
        cost = opening.count(b"(") + opening.count(b"NOT")
        fits = 50 // cost
        (event,) = read(b"a SEARCH " + opening * fits + b"ALL" + closing * fits + b"\r\n")
        assert isinstance(event, Search)
        assert bad(b"a SEARCH " + opening * (fits + 1) + b"ALL" + closing * (fits + 1) + b"\r\n").tag == b"a"


def test_closed_parentheses_do_not_count() -> None:
    (event,) = read(b"a SEARCH" + b" ((SEEN) NOT (DRAFT))" * 100 + b"\r\n")
    assert isinstance(event, Search)
    (event,) = read(b"a SEARCH" + b" NOT NOT NOT SEEN" * 100 + b"\r\n")
    assert isinstance(event, Search)


@pytest.mark.parametrize("junk", [b"(", b"NOT ", b"OR ", b"OR (", b"NOT OR ", b"OR NOT (", b"OR ALL "])
def test_no_nesting_exhausts_the_stack(junk: bytes) -> None:
    limits = ReaderLimits(line=1 << 22, search_keys=1_000_000)
    data = b"a SEARCH " + junk * 100_000
    assert bad(data + b"\r\n", limits=limits).tag == b"a"


def test_a_long_or_chain_is_one_flat_or() -> None:
    chain = b"OR HEADER Message-ID x " * 400 + b"ALL"
    (event,) = read(b"a SEARCH " + chain + b"\r\n")
    assert isinstance(event, Search)
    assert isinstance(event.query, q.Or)
    assert len(event.query.operands) == 401
    assert not any(isinstance(operand, q.Or) for operand in event.query.operands)


def test_number_of_search_keys_is_bounded() -> None:
    (event,) = read(b"a SEARCH" + b" SEEN" * 1_000 + b"\r\n")
    assert isinstance(event, Search)
    assert bad(b"a SEARCH" + b" SEEN" * 1_001 + b"\r\n").text == "Too many search keys"


def test_number_of_ranges_in_a_set_is_bounded() -> None:
    assert read(b"a COPY " + b"1," * 9_999 + b"1 x\r\n")[0] != bad(b"a COPY " + b"1," * 10_000 + b"1 x\r\n")


def test_names_of_header_fields_are_bounded_together() -> None:
    """FETCH shows them with each message of a batch."""
    limits = ReaderLimits(line=1_000)
    names = b" ".join([b"{200+}\r\n" + b"x" * 200] * 5)
    assert isinstance(read(b"a FETCH 1 BODY[HEADER.FIELDS (%b)]\r\n" % names, limits=limits)[-1], Fetch)
    for more in (b"BODY[HEADER.FIELDS (%b a)]" % names, b"(BODY[HEADER.FIELDS (%b)] BODY[HEADER.FIELDS (a)])" % names):
        refused = read(b"a FETCH 1 %b\r\n" % more, limits=limits)[-1]
        assert isinstance(refused, Bad)
        assert (refused.code, refused.no) == (b"LIMIT", True)


@pytest.mark.parametrize("key", [b"TEXT %b", b"HEADER x %b", b"HEADER %b x", b"OR SEEN SUBJECT %b", b"FUZZY BODY %b"])
def test_what_a_search_looks_for_is_bounded(key: bytes) -> None:
    """Sixty literals of a megabyte took 17 s to fold, and 755 MB."""
    half = b"{33000+}\r\n" + b"x" * 33_000
    for command in (b"SEARCH", b"UID SEARCH", b"SORT (DATE) UTF-8", b"THREAD REFERENCES UTF-8", b"ESEARCH"):
        line = b"a %b %b " % (command, key % half)
        (found,) = read(line + b"SEEN\r\n")
        assert not isinstance(found, Bad)
        refused = bad(line + key % half + b"\r\n")
        assert refused.text == "The strings that are looked for are too long together"
