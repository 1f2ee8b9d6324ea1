"""Charsets that SEARCH takes: name on the wire -> Python's codec.

A fixed table, since a peer's word never becomes a codec look-up of its own. Its codecs are those by which mail with
such a label is read (`mime.charsets`): a search in a message's own charset and octets finds it, also where a codec of
the label's very name has other characters for some of them, as for the dash of GB2312 and the wave dash of Shift_JIS.
RFC 9051 6.4.4, RFC 2978.
"""

from __future__ import annotations

CHARSETS: dict[bytes, str] = {
    b"US-ASCII": "ascii",
    b"ASCII": "ascii",
    b"UTF-8": "utf-8",
    **{b"ISO-8859-%d" % n: f"iso8859-{n}" for n in range(1, 17) if n != 12},
    b"ISO-8859-1": "cp1252",
    b"ISO-8859-9": "cp1254",
    b"ISO-8859-11": "cp874",
    **{b"WINDOWS-%d" % n: f"cp{n}" for n in range(1250, 1259)},
    b"KOI8-R": "koi8-r",
    b"KOI8-U": "koi8-u",
    b"SHIFT_JIS": "cp932",
    b"EUC-JP": "euc_jp",
    b"ISO-2022-JP": "iso2022_jp_ext",
    b"ISO-2022-KR": "iso2022_kr",
    b"EUC-KR": "cp949",
    b"GB2312": "gb18030",
    b"GBK": "gb18030",
    b"GB18030": "gb18030",
    b"BIG5": "big5hkscs",
}
"""In capitals."""

BADCHARSET = b"BADCHARSET (" + b" ".join(name for name in CHARSETS if name != b"ASCII") + b")"
"""Response code for a charset that is not here (RFC 9051 7.1)."""
