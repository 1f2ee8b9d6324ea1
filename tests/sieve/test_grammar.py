"""Tokens and grammar of Sieve: RFC 5228 2.1 to 2.6, 8.1, 8.2."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from restante.sieve.grammar import (
    DEEPEST,
    LARGEST,
    MOST_STRINGS,
    MOST_TESTS,
    MOST_TEXT,
    Argument,
    BadTest,
    Node,
    Number,
    Place,
    Strings,
    Tag,
    read_test,
    shown,
)

HERE = Place(1, 1)


def bare(node: Node) -> Node:
    """A node without its places."""
    return Node(node.name, tuple(map(_bare, node.arguments)), tuple(map(bare, node.tests)), node.bracketed, HERE)


def _bare(argument: Argument) -> Argument:
    match argument:
        case Strings(values, bracketed):
            return Strings(values, bracketed, HERE)
        case Number(value):
            return Number(value, HERE)
        case Tag(name):
            return Tag(name, HERE)


def made(name: str, *arguments: Argument, tests: tuple[Node, ...] = (), bracketed: bool = False) -> Node:
    return Node(name, arguments, tests, bracketed, HERE)


def refusal(text: str) -> str | None:
    """What is said against a text, None where it is a test."""
    try:
        read_test(text)
    except BadTest as error:
        return str(error)
    return None


def strings(*values: str, bracketed: bool = False) -> Strings:
    return Strings(values, bracketed, HERE)


def number(value: int) -> Number:
    return Number(value, HERE)


def tag(name: str) -> Tag:
    return Tag(name, HERE)


READ = [
    ("name", "true", made("true")),
    ("name-case", "  TRUE\t", made("true")),
    ("name-letters", "_a1", made("_a1")),
    ("string", 'a "b"', made("a", strings("b"))),
    ("string-empty", 'a ""', made("a", strings(""))),
    ("string-case", 'a "Bc"', made("a", strings("Bc"))),
    ("string-quoted", r'a "b\"c\\d"', made("a", strings('b"c\\d'))),
    ("string-quoted-other", r'a "\b\*"', made("a", strings("b*"))),
    ("string-lines", 'a "b\r\nc"', made("a", strings("b\r\nc"))),
    ("string-lines-lf", 'a "b\nc"', made("a", strings("b\r\nc"))),
    ("string-control", 'a "b\x01\tc"', made("a", strings("b\x01\tc"))),
    ("string-comment", 'a "b # /* c"', made("a", strings("b # /* c"))),
    ("string-unicode", 'a "Grüße 😀"', made("a", strings("Grüße 😀"))),
    ("list", 'a ["b", "c"]', made("a", strings("b", "c", bracketed=True))),
    ("list-of-one", 'a ["b"]', made("a", strings("b", bracketed=True))),
    ("strings-side-by-side", 'a"b""c"', made("a", strings("b"), strings("c"))),
    ("multi-line", "a text:\r\nb\r\nc\r\n.\r\n", made("a", strings("b\r\nc\r\n"))),
    ("multi-line-lf", "a text:\nb\nc\n.\n", made("a", strings("b\r\nc\r\n"))),
    ("multi-line-empty", "a text:\r\n.\r\n", made("a", strings(""))),
    ("multi-line-case", "a TEXT:\r\n.\r\n", made("a", strings(""))),
    ("multi-line-stuffed", "a text:\r\n..b\r\n...\r\n.\r\n", made("a", strings(".b\r\n..\r\n"))),
    ("multi-line-half-stuffed", "a text:\r\n.foo\r\n.\r\n", made("a", strings(".foo\r\n"))),
    ("multi-line-blank", "a text: \t\r\n \r\n.\r\n", made("a", strings(" \r\n"))),
    ("multi-line-comment", "a text: # b\r\n# c\r\n.\r\n", made("a", strings("# c\r\n"))),
    ("multi-line-plain", 'a text:\r\n"\\\r\n.\r\n', made("a", strings('"\\\r\n'))),
    ("multi-line-in-list", 'a ["b", text:\r\nc\r\n.\r\n]', made("a", strings("b", "c\r\n", bracketed=True))),
    ("multi-line-at-end", "a text:\r\n.", made("a", strings(""))),
    ("name-text", "text", made("text")),
    ("name-text-tag", "text :is", made("text", tag("is"))),
    ("number", "a 0", made("a", number(0))),
    ("number-zeros", "a 007", made("a", number(7))),
    ("number-k", "a 1K 1k", made("a", number(1024), number(1024))),
    ("number-m", "a 2M", made("a", number(2 * 1_048_576))),
    ("number-g", "a 3g", made("a", number(3 * 1_073_741_824))),
    ("number-wanted", "a 2147483647", made("a", number(2**31 - 1))),
    ("number-largest", f"a {LARGEST}", made("a", number(LARGEST))),
    ("tag", "a :Is", made("a", tag("is"))),
    ("tag-beside", 'a:is"b"', made("a", tag("is"), strings("b"))),
    ("tag-number", "a :over 5", made("a", tag("over"), number(5))),
    ("comment-hash", "a # b\r\n1", made("a", number(1))),
    ("comment-hash-first", "# b\r\na", made("a")),
    ("comment-hash-at-end", "a # b", made("a")),
    ("comment-bracket", "a /* b\r\n * c # \r\n */ 1 /**/", made("a", number(1))),
    ("comment-bracket-stars", "a /***/ 1 /* * / **/", made("a", number(1))),
    ("comment-bracket-not-nested", "a /* /* */", made("a")),
    ("comment-between", "a/*b*/1", made("a", number(1))),
    ("nested", "not true", made("not", tests=(made("true"),))),
    ("nested-deeper", "not not a 1", made("not", tests=(made("not", tests=(made("a", number(1)),)),))),
    ("test-list", "a (b, c)", made("a", tests=(made("b"), made("c")), bracketed=True)),
    ("test-list-of-one", "a(b)", made("a", tests=(made("b"),), bracketed=True)),
    ("test-list-arguments", "a 1 (b 2)", made("a", number(1), tests=(made("b", number(2)),), bracketed=True)),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_what_is_written_is_read(text: str, expected: Node) -> None:
    assert bare(read_test(text)) == expected


REFUSED = [
    ("nothing", "", 1, 1, "Here stands the end instead of the name of a test."),
    ("comment-only", "# a", 1, 4, "Here stands the end instead of the name of a test."),
    ("string-first", ' "a"', 1, 2, 'Here stands the string "a" instead of the name of a test.'),
    ("tag-first", ":is", 1, 1, 'Here stands ":is" instead of the name of a test.'),
    ("leftover-mark", "true;", 1, 5, 'The test ends before ";".'),
    ("leftover-block", "true {", 1, 6, 'The test ends before "{".'),
    ("leftover-test", "a (b) c", 1, 7, 'The test ends before "c".'),
    ("leftover-string", 'a (b) "c"', 1, 7, 'The test ends before the string "c".'),
    ("leftover-after-nested", "a b (c) d", 1, 9, 'The test ends before "d".'),
    ("quote-open", 'a\r\n "b', 2, 2, "The string that begins here has no end."),
    ("quote-open-backslash", 'a "b\\', 1, 3, "The string that begins here has no end."),
    ("quote-open-quoted", 'a "b\\"', 1, 3, "The string that begins here has no end."),
    ("backslash-line-end", 'a "b\\\r\n"', 1, 5, "A backslash stands before a line's end."),
    ("comment-open", "a /* b", 1, 3, "The comment that begins here has no end."),
    ("comment-open-star", "a /*/", 1, 3, "The comment that begins here has no end."),
    ("multi-line-open", "a text:\r\nb\r\n", 1, 3, "The text that begins here has no end"),
    ("multi-line-open-dot", "a text:\r\nb.", 1, 3, "The text that begins here has no end"),
    ("multi-line-head", "a text: b\r\n.\r\n", 1, 8, "Behind text: the line ends"),
    ("multi-line-head-bracket", "a text: /* b */\r\n.\r\n", 1, 8, "Behind text: the line ends"),
    ("multi-line-no-line", "a text:", 1, 8, "Behind text: the line ends"),
    ("list-empty", "a []", 1, 4, 'Here stands "]" instead of a string.'),
    ("list-number", "a [1]", 1, 4, 'Here stands "1" instead of a string.'),
    ("list-comma", 'a ["b",]', 1, 8, 'Here stands "]" instead of a string.'),
    ("list-no-comma", 'a ["b" "c"]', 1, 8, 'Here stands the string "c" instead of "," or "]".'),
    ("list-open", 'a ["b"', 1, 7, 'Here stands the end instead of "," or "]".'),
    ("list-nested", 'a [["b"]]', 1, 4, 'Here stands "[" instead of a string.'),
    ("tests-empty", "a ()", 1, 4, 'Here stands ")" instead of the name of a test.'),
    ("tests-comma", "a (b,)", 1, 6, 'Here stands ")" instead of the name of a test.'),
    ("tests-open", "a (b", 1, 5, 'Here stands the end instead of "," or ")".'),
    ("tests-no-comma", 'a (b "x" ; c)', 1, 10, 'Here stands ";" instead of "," or ")".'),
    ("number-letters", "a 10kb", 1, 3, '"10kb" is no number'),
    ("number-large", f"a {LARGEST + 1}", 1, 3, "is too large a number."),
    ("number-large-g", "a 9000000000G", 1, 3, '"9000000000G" is too large a number.'),
    ("number-very-large", "a " + "9" * 50_000, 1, 3, "is too large a number."),
    ("number-other-digits", "a ٣", 1, 3, '"٣" begins nothing that Sieve knows.'),
    ("letter", "é", 1, 1, '"é" begins nothing that Sieve knows.'),
    ("colon", "a : b", 1, 3, '":" begins nothing that Sieve knows.'),
    ("slash", "a / b", 1, 3, '"/" begins nothing that Sieve knows.'),
    ("negative", "a -1", 1, 3, '"-" begins nothing that Sieve knows.'),
    ("nul", 'a "\0"', 1, 4, "There is NUL, which cannot be read here."),
    ("carriage-return", "a\r\n\rb", 2, 1, "There is a carriage return without a line feed"),
    ("surrogate", 'a "\ud800"', 1, 4, "There is something that is not UTF-8"),
    ("column-in-characters", 'a "😀é" ;', 1, 8, 'The test ends before ";".'),
    ("line-behind-comment", "/* \n\n */ ;", 3, 5, 'Here stands ";" instead of the name of a test.'),
]


@pytest.mark.parametrize(
    ("text", "line", "column", "sentence"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_is_wrong_is_told_with_its_place(text: str, line: int, column: int, sentence: str) -> None:
    with pytest.raises(BadTest) as caught:
        read_test(text)
    assert str(caught.value).startswith(f"Line {line}, column {column}: ")
    assert sentence in str(caught.value)
    assert caught.value.place == Place(line, column)


def test_places_are_kept() -> None:
    node = read_test('not\r\n  a :is\t"b" 1')
    (nested,) = node.tests
    assert (node.place, nested.place) == (Place(1, 1), Place(2, 3))
    assert [argument.place for argument in nested.arguments] == [Place(2, 5), Place(2, 9), Place(2, 13)]


def test_size_is_bounded() -> None:
    filling = " " * (MOST_TEXT - 4)
    assert read_test(f"{filling}true").name == "true"
    with pytest.raises(BadTest, match="more than"):
        read_test(f"{filling} true")


def test_depth_is_bounded() -> None:
    read_test("not " * (DEEPEST - 1) + "true")
    read_test("anyof(" * (DEEPEST - 1) + "true" + ")" * (DEEPEST - 1))
    for text in ("not " * DEEPEST + "true", "anyof(" * DEEPEST + "true", "not " * 20_000, "a(" * 40_000, "[" * 90_000):
        with pytest.raises(BadTest):
            read_test(text)


def test_fifteen_levels_of_test_lists_are_read() -> None:
    """RFC 5228 2.10.7."""
    read_test("allof (" * 15 + "true" + ")" * 15)


def test_number_of_tests_is_bounded() -> None:
    assert len(read_test(f"anyof ({', '.join(['true'] * (MOST_TESTS - 1))})").tests) == MOST_TESTS - 1
    with pytest.raises(BadTest, match=f"more than {MOST_TESTS} tests"):
        read_test(f"anyof ({', '.join(['true'] * MOST_TESTS)})")


def test_number_of_strings_is_bounded() -> None:
    many = ", ".join(['""'] * MOST_STRINGS)
    read_test(f"a [{many}]")
    for text in (f'a "" [{many}]', f'anyof (a [{many}], b "")'):
        with pytest.raises(BadTest, match=f"more than {MOST_STRINGS} strings"):
            read_test(text)


def test_what_is_shown_is_short_and_can_be_seen() -> None:
    assert shown("a\x00b\n") == '"a\ufffdb\ufffd"'
    assert len(shown("a" * 1_000)) == 42


# Printed and read again ----------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=8)
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
ARGUMENTS = st.one_of(
    TEXTS.map(strings),
    st.lists(TEXTS, min_size=1, max_size=3).map(lambda values: strings(*values, bracketed=True)),
    st.integers(0, LARGEST).map(number),
    NAMES.map(tag),
)
LEAVES = st.builds(lambda name, arguments: made(name, *arguments), NAMES, st.lists(ARGUMENTS, max_size=3))
NODES = st.recursive(
    LEAVES,
    lambda nodes: st.builds(
        lambda leaf, tests, bracketed: made(
            leaf.name, *leaf.arguments, tests=tuple(tests if bracketed else tests[:1]), bracketed=bracketed
        ),
        LEAVES,
        st.lists(nodes, min_size=1, max_size=3),
        st.booleans(),
    ),
    max_leaves=6,
)
BLANKS = st.sampled_from([" ", "\r\n", "\t", "\n", "/* x */", "# y\r\n", " /**/ "])


def written(node: Node, data: st.DataObject) -> str:
    """A node as text, with white space of all kinds between its tokens."""
    blank = data.draw(BLANKS)
    pieces = [node.name, *(_written(argument, data) for argument in node.arguments)]
    if node.bracketed:
        pieces.append("(" + f"{blank},".join(written(each, data) for each in node.tests) + ")")
    else:
        pieces.extend(written(each, data) for each in node.tests)
    return blank + blank.join(pieces) + blank


def _written(argument: Argument, data: st.DataObject) -> str:
    match argument:
        case Strings(values, bracketed):
            texts = [_string(value, data) for value in values]
            return f"[{' , '.join(texts)}]" if bracketed else texts[0]
        case Number(value):
            return str(value)
        case Tag(name):
            return ":" + (name.upper() if data.draw(st.booleans()) else name)


def _string(value: str, data: st.DataObject) -> str:
    if value.endswith("\r\n") and data.draw(st.booleans()):
        lines = value.removesuffix("\r\n").split("\r\n")
        return "text:\r\n" + "".join([f".{line}\r\n" if line[:1] == "." else f"{line}\r\n" for line in lines]) + ".\r\n"
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


@given(NODES, st.data())
def test_a_printed_test_is_read_as_the_same(node: Node, data: st.DataObject) -> None:
    assert bare(read_test(written(node, data))) == node


@given(st.lists(TEXTS, min_size=1, max_size=4), st.data())
def test_lines_of_strings_are_kept(lines: list[str], data: st.DataObject) -> None:
    value = "".join(f"{line}\r\n" for line in lines)
    assert bare(read_test(f"a {_string(value, data)}")) == made("a", strings(value))


PIECES = st.sampled_from([
    *("a", "text", "text:", "text:\r\n", ":", ":is", '"', '"b"', "\\", "[", "]", "(", ")", ",", ";", "{", "}", "1"),
    *("9K", "#", "/*", "*/", "\r\n", "\r", "\n", " ", ".", "\r\n.\r\n", "é", "\0", "\ud800", "not", "/", "*"),
])  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES, max_size=12).map("".join), st.lists(PIECES, max_size=12).map(" ".join)))
@example("a" * MOST_TEXT)
@example('a "' + "\\" * (MOST_TEXT - 3))
@example("/*" * (MOST_TEXT // 2))
def test_any_text_gives_a_test_or_the_one_error(text: str) -> None:
    told = refusal(text)
    assert told is None or told.isprintable()
