"""Charset labels -> codecs, and octets of a known, wrong or missing charset -> text. Nothing here fails.

Only codecs of a closed list are used: the standard library's registry also knows transforms (zlib, rot13),
UTF-7, which hides markup from whoever looks at ASCII, and idna, which is not linear. RFC 2045 5, RFC 2978;
labels as mail of thirty years writes them (WHATWG's wider readings where they hold everything the label's own
charset holds).
"""

from __future__ import annotations

import codecs
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import lru_cache

from .model import Lengthy

SAMPLE = 32 << 10
"""Octets that are looked at to guess an undeclared charset."""

_ALLOWED = frozenset(
    """ascii utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be big5 big5hkscs cp037 cp437 cp500
    cp720 cp737 cp775 cp850 cp852 cp855 cp856 cp857 cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp866 cp869 cp874 cp875
    cp932 cp949 cp950 cp1006 cp1026 cp1125 cp1140 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258
    euc_jp euc_jis_2004 euc_jisx0213 euc_kr gb2312 gbk gb18030 hz iso2022_jp iso2022_jp_1 iso2022_jp_2
    iso2022_jp_2004 iso2022_jp_3 iso2022_jp_ext iso2022_kr iso8859-1 iso8859-2 iso8859-3 iso8859-4 iso8859-5
    iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-10 iso8859-11 iso8859-13 iso8859-14 iso8859-15 iso8859-16
    johab koi8-r koi8-u koi8-t kz1048 mac-cyrillic mac-greek mac-iceland mac-latin2 mac-roman mac-turkish ptcp154
    shift_jis shift_jis_2004 shift_jisx0213 tis-620""".split()  # noqa: SIM905 - a list of 90 quoted words hides what is in it
)

_LABELS = {
    "iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252", "iso8859-1": "cp1252", "l1": "cp1252",
    "iso_8859-1": "cp1252", "8859-1": "cp1252", "us-ascii": "ascii", "ansi_x3.4-1968": "ascii",
    "iso-8859-9": "cp1254", "iso-8859-11": "cp874", "tis-620": "cp874", "windows-874": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "gb_2312-80": "gb18030", "cn-gb": "gb18030",
    "ks_c_5601-1987": "cp949", "ks_c_5601": "cp949", "euc-kr": "cp949", "ksc5601": "cp949", "windows-949": "cp949",
    "shift_jis": "cp932", "shift-jis": "cp932", "x-sjis": "cp932", "sjis": "cp932", "windows-31j": "cp932",
    "ms_kanji": "cp932", "cp932": "cp932", "big5": "big5hkscs", "big-5": "big5hkscs", "x-x-big5": "big5hkscs",
    "cn-big5": "big5hkscs", "iso-2022-jp": "iso2022_jp_ext", "iso-8859-8-i": "iso8859-8", "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6", "unicode-1-1-utf-8": "utf-8", "x-utf-8": "utf-8", "utf8mb4": "utf-8",
    "utf-16": "utf-16", "unicode": "utf-16", "x-mac-roman": "mac-roman", "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic", "koi8-ru": "koi8-u", "koi8r": "koi8-r", "koi": "koi8-r", "x-koi8-r": "koi8-r",
    "ansi": "cp1252", "x-ansi": "cp1252", "windows1252": "cp1252", "iso-8859-15": "iso8859-15",
    "iso-10646-ucs-2": "utf-16-be", "ucs-2": "utf-16-be", "visual": "iso8859-8", "logical": "iso8859-8",
    "iso88591": "cp1252", "iso-8859-6-e": "iso8859-6", "latin-9": "iso8859-15", "csisolatin9": "iso8859-15",
    "csiso885913": "iso8859-13", "csiso885914": "iso8859-14", "csiso885915": "iso8859-15", "csiso885916": "iso8859-16",
    "csiso88598i": "iso8859-8", "csiso88598e": "iso8859-8", "cstis620": "cp874", "cswindows874": "cp874",
    "dos-874": "cp874", "windows-936": "gb18030", "csgb2312": "gb18030", "csgbk": "gb18030", "csgb18030": "gb18030",
    "csbig5hkscs": "big5hkscs", "x-big5": "big5hkscs", "big5-eten": "big5hkscs", "x-euc-kr": "cp949",
    "cseuckr": "cp949", "ks_c_5601-1989": "cp949", "ksc_5601": "cp949", "iso-ir-149": "cp949", "csksc56011987": "cp949",
    "cswindows31j": "cp932", "x-euc-jp": "euc_jp", "eucjp-ms": "euc_jp", "cp51932": "euc_jp",
    "cseucpkdfmtjapanese": "euc_jp", "csiso2022jp2": "iso2022_jp_2", "koi8": "koi8-r", "cskoi8u": "koi8-u",
    "cskz1048": "kz1048", "dos-866": "cp866", "ibm00858": "cp858", "ccsid00858": "cp858", "cp00858": "cp858",
    "pc-multilingual-850+euro": "cp858", "ibm01140": "cp1140", "mac": "mac-roman", "csmacintosh": "mac-roman",
    "csutf8": "utf-8", "unicode11utf8": "utf-8", "unicode20utf8": "utf-8", "x-unicode20utf8": "utf-8",
    "csutf16": "utf-16", "csunicode": "utf-16-be", "iso-10646-ucs-4": "utf-32-be", "csucs4": "utf-32-be",
    **{f"{prefix}{page}": f"cp{page}" for prefix in ("cswindows", "x-cp", "win-") for page in range(1250, 1259)},
}  # fmt: skip

_NOT_DECLARED = frozenset({"", "ascii", "unknown-8bit", "x-unknown", "unknown", "default", "x-user-defined", "8bit"})

_LIKELY = [
    "cp1252", "cp1251", "koi8_r", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp866", "gb18030", "big5",
    "cp932", "euc_jp", "cp949",
]  # fmt: skip

_LATIN = frozenset({"cp1250", "cp1254"})


def codec(label: str) -> str | None:
    """The codec for a charset label, None where there is none that may be used. Those of labels are remembered."""
    return (_codec_kept if len(label) <= LONGEST_LABEL else _codec)(label)


LONGEST_LABEL = 100
"""Characters of a label that is remembered: it is the message's own choice, and may be as long as a header."""


def _codec(label: str) -> str | None:
    label = label.strip(" \t'\"").lower()
    if len(label) > 40 or not label.isascii() or "\0" in label:
        return None
    name = _LABELS.get(label)
    if name is None:
        known = normalize_encoding(label)
        if known not in _KNOWN:
            known = known.replace(".", "_")
            if known not in aliases:
                return None
        try:
            name = codecs.lookup(known).name
        except LookupError:
            return None
        name = _LABELS.get(name, name)
    return name if name in _ALLOWED else None


_KNOWN = frozenset({*aliases, *aliases.values(), *map(normalize_encoding, _ALLOWED)})
"""Names under which the library may have a codec of the list. For any other one it looks into all folders that it
imports from, 25 us each, and it remembers for ever what it was asked: a header has room for 60,000 labels that somebody
made up."""

_codec_kept = lru_cache(maxsize=512)(_codec)


def is_declared(label: str) -> bool:
    """Whether a label (in lower case) says what octets over 127 are; else they are as good as undeclared."""
    return label not in _NOT_DECLARED and codec(label) not in (None, "ascii")


def has_line_feeds(label: str) -> bool:
    """Whether the octet 10 is a line feed in a charset, and nothing else: not in UTF-16, UTF-32 and EBCDIC."""
    name = codec(label)
    return name is None or b"\n".decode(name, "replace") == "\n"


def decode_charset(data: bytes, label: str, fallback: str = "") -> str:
    """Text of `data`. label: the declared charset, "" for none. Wrong octets become U+FFFD; never raises.

    fallback: charset to try where none is declared and the octets are not UTF-8; else it is guessed.
    """
    name = codec(label) if label else "ascii"
    if data.isascii() and (name is None or name in _ASCII_COMPATIBLE):
        return data.decode("ascii")
    if name is None or not is_declared(label):
        return decode_undeclared(data, fallback)
    if name == "cp1252":
        return _western(data)
    return data.decode(name, "replace")


_ASCII_COMPATIBLE = frozenset(
    name
    for name in _ALLOWED
    if not name.startswith(("utf-16", "utf-32", "iso2022", "hz", "cp037", "cp500", "cp875", "cp1026", "cp1140"))
) - {"johab", "shift_jis", "shift_jis_2004", "shift_jisx0213"}


@lru_cache(maxsize=64)
def begins_as_ascii(label: str, fallback: str) -> bool:
    """Whether ASCII at the beginning of a text stands for itself whatever comes behind it.

    label, fallback: as in `decode_charset`, but both "" where the charset is guessed; neither past LONGEST_LABEL.
    """
    names = [codec(one) or "ascii" for one in (label, fallback) if one]
    return all(name in _ASCII_COMPATIBLE and _ALL_ASCII.decode(name, "replace") == _ALL_ASCII_TEXT for name in names)


_ALL_ASCII = bytes(range(128))
_ALL_ASCII_TEXT = _ALL_ASCII.decode("ascii")


def _western(data: bytes) -> str:
    """Windows-1252, as octets labelled Latin-1 nearly always are; its five holes as Latin-1 has them."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def decode_undeclared(data: bytes, fallback: str = "") -> str:
    """Text of 8-bit octets that nobody declared: UTF-8, then `fallback`, then Western."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    name = codec(fallback) if fallback else None
    # Eight bits among ASCII are none of UTF-16, whatever the text beside them is in.
    if name in _ASCII_COMPATIBLE and name not in ("ascii", "utf-8"):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            pass
    return _western(data)


def guess(data: bytes, *, brief: bool = False) -> str:
    """The likely charset of undeclared octets, "" if nothing is likely; looks at the first 32 KB of them.

    brief: raise Lengthy where statistics are to be asked, which cost a hundred times what all else in a message does.
    """
    sample = data[:SAMPLE]
    if sample.isascii():
        return ""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, len(sample) == len(data))
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    if brief:
        raise Lengthy
    # Late, because its tables take longer to load than a short command takes to run.
    from charset_normalizer import from_bytes

    matches = from_bytes(sample, cp_isolation=_LIKELY, steps=5, chunk_size=512)
    best = matches.best()
    if best is None:
        return ""
    if best.encoding in _LATIN:
        # Short Western text is as plausible in its neighbours' charsets: those must show better words.
        western = [match.coherence for match in matches if match.encoding == "cp1252"]
        if western and (western[0] >= best.coherence or not best.coherence):
            return "cp1252"
    return best.encoding
