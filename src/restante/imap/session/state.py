"""Values that the session and its commands share: states, dialect, replies.

Independent facts are separate machines, not products of states: where the connection is in its life (`State`),
which dialect and which extensions the client has switched on (`Dialect`), and, in the view, whether the
selected mailbox is read-only. Pure values; must not know connections, stores or clocks.

RFC 9051 3, RFC 5161, RFC 7162 3.1 and 3.2.3, RFC 9586 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, Flag, auto

from ...errors import Refusal
from ..grammar.commands import FetchItem
from ..grammar.notify import NotifyEvent
from ..texts.language import Texts


class State(Flag):
    """Where the connection is (RFC 9051 3). A Flag, so that a command can name the states it is valid in."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    LOGOUT = auto()

    LOGGED_IN = AUTHENTICATED | SELECTED
    ANY = NOT_AUTHENTICATED | AUTHENTICATED | SELECTED


class Dialect:
    """What ENABLE, the CONDSTORE-enabling commands and LANGUAGE have switched on. Nothing is ever switched off, but
    by STARTTLS and UNAUTHENTICATE everything."""

    __slots__ = ("condstore", "metadata", "qresync", "rev2", "texts", "uidonly", "utf8_accept")

    def __init__(self) -> None:
        self.rev2 = False
        """ENABLE IMAP4rev2: ESEARCH responses, UTF-8 names, no RECENT."""
        self.utf8_accept = False
        """ENABLE UTF8=ACCEPT (RFC 6855 3)."""
        self.condstore = False
        """A CONDSTORE-enabling command was seen: every unsolicited FETCH carries MODSEQ and UID."""
        self.qresync = False
        """ENABLE QRESYNC: VANISHED in place of EXPUNGE."""
        self.metadata: frozenset[NotifyEvent] = frozenset()
        """ENABLE METADATA, METADATA-SERVER: changes of which annotations are told (RFC 5464 4.1, 4.4)."""
        self.texts: Texts | None = None
        """What LANGUAGE has chosen; None for i-default."""
        self.uidonly = False
        """ENABLE UIDONLY: no message numbers in either direction (RFC 9586)."""

    @property
    def vanished(self) -> bool:
        """Removals are told as VANISHED, by UID."""
        return self.qresync or self.uidonly

    @property
    def utf8(self) -> bool:
        """Mailbox names and quoted strings are UTF-8."""
        return self.rev2 or self.utf8_accept


@dataclass(frozen=True, slots=True)
class Told:
    """What a client wants to hear of its selected mailbox; NOTIFY changes it (RFC 5465 3.1, 6.1).

    messages: arrivals and removals. flags: changed flags. at_once: also between commands; removals_at_once: these
    too. fetch: items that are sent of each new message.
    """

    messages: bool = True
    flags: bool = True
    at_once: bool = False
    removals_at_once: bool = False
    fetch: tuple[FetchItem, ...] = ()


AS_EVER = Told()
"""Without NOTIFY: everything, with the commands and in IDLE."""
NOTHING_TOLD = Told(messages=False, flags=False)
"""After NOTIFY NONE, or NOTIFY SET without a word on the selected mailbox."""


class Answer(Enum):
    """The three words a tagged response may begin with."""

    OK = b"OK"
    NO = b"NO"
    BAD = b"BAD"


@dataclass(frozen=True, slots=True)
class Reply:
    """A tagged response without its tag. text: for a person, ASCII. code: response code without brackets."""

    text: bytes
    code: bytes = b""
    answer: Answer = Answer.OK

    def line(self, tag: bytes) -> bytes:
        """The response's octets."""
        code = b"[" + self.code + b"] " if self.code else b""
        return b"%b %b %b%b\r\n" % (tag, self.answer.value, code, self.text)


ALREADY_SAID = Reply(b"")
"""Given by a command that had to write its tagged response itself (STARTTLS)."""


class CodedRefusal(Refusal):
    """A refusal of this room whose response code says something of its own.

    response_code: without brackets, with its data.
    """

    def __init__(self, text: str, response_code: bytes) -> None:
        super().__init__(text)
        self.response_code = response_code


class BadCommand(Exception):
    """The command is well formed, but wrong here: the client's mistake, answered by BAD."""

    def __init__(self, text: str, code: bytes = b"") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class SelectedLost(Exception):
    """The selected mailbox has been deleted by somebody, or may no longer be read: nothing more can be said of it, and
    the session ends with this BYE. done: the answer to the command that was done before that was noticed, if any."""

    def __init__(self, text: bytes, code: bytes) -> None:
        super().__init__(text.decode("ascii"))
        self.text = text
        self.code = code
        self.done: Reply | None = None
