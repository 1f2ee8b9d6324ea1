"""Names of mailboxes: as the server writes them, and as all sides of a copy do.

A side's names are NFC, with "/" between levels, without the prefix of the user's own namespace ("INBOX." on some
servers), INBOX in capitals. Both directions are one to one: where the server's separator is not "/", a "/" inside
one of its names becomes %2F, and its own separator inside one of ours %2E (or what its number is); what looks like such
an escape already gets one "25" more in front: %252F.

Names that cannot be read are left out and told (`NameMap.left_out`); of two mailboxes that would share a name the first
keeps it. RFC 9051 5.1, RFC 3501 5.1.3.
"""

from __future__ import annotations

import re
import unicodedata

from ...imap.grammar.errors import BadSyntax
from ...imap.grammar.names import decode_mailbox, encode_utf7
from ...inbox import is_inbox
from ..side import MailboxUnavailable

_SLASH = "2F"


def from_server(text: str, separator: str | None) -> str:
    """The name with "/" between levels. text: decoded. separator: the server's, None where it has no levels."""
    if separator == "/":
        return text
    escaped = re.sub(f"%((?:25)*){_SLASH}", rf"%25\g<1>{_SLASH}", text).replace("/", f"%{_SLASH}")
    if separator is None:
        return escaped
    code = f"{ord(separator):02X}"
    levels = [
        re.sub(f"%((?:25)*){code}", lambda found: f"%{found[1][2:]}{code}" if found[1] else separator, level)
        for level in escaped.split(separator)
    ]
    return "/".join(levels)


def to_server(name: str, separator: str | None) -> str:
    """What `from_server` makes the name of. Raises MailboxUnavailable for levels where the server has none."""
    if separator == "/":
        return name
    levels = name.split("/")
    if separator is None:
        if len(levels) > 1:
            raise MailboxUnavailable(f"The server has no mailboxes inside others: {name}")
    else:
        code = f"{ord(separator):02X}"
        levels = [
            re.sub(f"%((?:25)*){code}", rf"%25\g<1>{code}", level).replace(separator, f"%{code}") for level in levels
        ]
    joined = (separator or "").join(levels)
    return re.sub(f"%((?:25)*){_SLASH}", lambda found: f"%{found[1][2:]}{_SLASH}" if found[1] else "/", joined)


class NameMap:
    """Names of one account, both ways, as the last look at all of them found them.

    separator: of new names. prefix: of the user's own namespace, decoded. utf8: how names are written.
    """

    def __init__(self) -> None:
        self.separator: str | None = "/"
        self.prefix = ""
        self.utf8 = False
        self.left_out: dict[bytes, str] = {}
        self._raw: dict[str, bytes] = {}
        self._name: dict[bytes, str] = {}

    def clear(self) -> None:
        """Before a look at all names."""
        self._raw.clear()
        self._name.clear()
        self.left_out.clear()

    def learn(self, raw: bytes, separator: str | None) -> str | None:
        """The side's name of a mailbox the server lists; None where it cannot have one (see `left_out`)."""
        known = self._name.get(raw)
        if known is not None:
            return known
        text = decode_text(raw, self.utf8)
        if text is None:
            self.left_out[raw] = "its name cannot be read"
            return None
        if is_inbox(text):
            name = "INBOX"
        else:
            if self.prefix and text.startswith(self.prefix) and len(text) > len(self.prefix):
                text = text[len(self.prefix) :]
            name = unicodedata.normalize("NFC", from_server(text, separator))
            if is_inbox(name):
                self.left_out[raw] = "behind the prefix it is called INBOX too"
                return None
        if not all(name.split("/")):
            self.left_out[raw] = "a level of its name is empty"
            return None
        if name in self._raw:
            self.left_out[raw] = f"another mailbox is {name} already"
            return None
        self._raw[name] = raw
        self._name[raw] = name
        return name

    def name(self, raw: bytes) -> str | None:
        """The name of a mailbox that was listed; also where an answer spells INBOX in small letters."""
        found = self._name.get(raw)
        if found is None and raw.upper() == b"INBOX":
            return "INBOX" if "INBOX" in self._raw else None
        return found

    def raw(self, name: str) -> bytes:
        """A name as the server writes it, of a mailbox that is there or is to be made. Raises MailboxUnavailable."""
        known = self._raw.get(name)
        if known is not None:
            return known
        if name == "INBOX":
            return b"INBOX"
        text = self.prefix + to_server(name, self.separator)
        raw = text.encode("utf-8", "surrogatepass") if self.utf8 else encode_utf7(text)
        if not all(name.split("/")) or decode_text(raw, self.utf8) is None:  # nor would it be read when it is there
            raise MailboxUnavailable(f"A mailbox cannot have this name on a server: {name!r}")
        return raw

    def has_children(self, name: str) -> bool:
        """Whether there are mailboxes below this one."""
        return any(each.startswith(name + "/") for each in self._raw)

    def renamed(self, name: str, new: str) -> None:
        """Forget what a rename (children included) made wrong: such names are made anew from their text."""
        below = (name + "/", new + "/")
        for each in [each for each in self._raw if each in (name, new) or each.startswith(below)]:
            self._name.pop(self._raw.pop(each), None)


def decode_text(raw: bytes, utf8: bool) -> str | None:
    """The text; lenient where servers are: raw UTF-8 and plain "&" in modified UTF-7's place."""
    for as_utf8 in (utf8, True):
        try:
            return decode_mailbox(raw, as_utf8)
        except BadSyntax as error:
            if error.no:
                return None
    return None
