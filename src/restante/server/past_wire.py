"""What workers ask of the process that reads the backup for them, and what it answers: see `past_process`.

A frame is four octets of length, big-endian, and MessagePack: a `Call` or an `Answer`. Answers may come in another
order than calls. Both ends are ours and of one version, on a socket that nobody else can open.
"""

from __future__ import annotations

import asyncio

import msgspec

FRAME = 64 << 20
"""Octets of a frame at most: several times what is asked for at once."""


class Struct(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of all of them."""


class States(Struct, frozen=True, array_like=True, tag=True):
    """-> [(name, id)]"""

    account: str


class Open(Struct, frozen=True, array_like=True, tag=True):
    """-> (file, [fields of a PastBox]). The file stays until it was left as often as it was opened."""

    account: str
    state: str


class Leave(Struct, frozen=True, array_like=True, tag=True):
    """-> nothing"""

    file: str


class Load(Struct, frozen=True, array_like=True, tag=True):
    """-> the mailbox's key"""

    file: str
    state: str
    box: int


class Fill(Struct, frozen=True, array_like=True, tag=True):
    """-> how many messages cannot be read"""

    file: str
    mailbox: int
    ranges: tuple[tuple[int, int], ...]
    bodies: bool


class Lend(Struct, frozen=True, array_like=True, tag=True):
    """-> (token, [(uid, hidden, suffix, retrieved)])"""

    file: str
    state: str
    box: int
    mailbox: int
    ranges: tuple[tuple[int, int], ...]


class GiveBack(Struct, frozen=True, array_like=True, tag=True):
    """-> nothing"""

    token: int


class Read(Struct, frozen=True, array_like=True, tag=True):
    """-> [octets]"""

    digests: list[bytes]


class ReadPart(Struct, frozen=True, array_like=True, tag=True):
    """-> [octets]"""

    digest: bytes
    offset: int
    count: int


Request = States | Open | Leave | Load | Fill | Lend | GiveBack | Read | ReadPart


class Call(msgspec.Struct, frozen=True, array_like=True):
    number: int
    request: Request


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """result: MessagePack of what stands at the request; empty where it is refused. code, text: of the refusal."""

    number: int
    result: msgspec.Raw = msgspec.Raw(b"\xc0")
    code: str = ""
    text: str = ""


_encode = msgspec.msgpack.Encoder().encode
_calls = msgspec.msgpack.Decoder(Call)
_answers = msgspec.msgpack.Decoder(Answer)

NO_SNAPSHOT = "NO-SNAPSHOT"
"""The code of a refusal that a mailbox which is not there is told by."""


def encode_result(result: object) -> msgspec.Raw:
    return msgspec.Raw(_encode(result))


def frame(what: Call | Answer) -> bytes:
    data = _encode(what)
    return len(data).to_bytes(4, "big") + data


async def read_call(reader: asyncio.StreamReader) -> Call | None:
    """The next call; None at the end."""
    data = await _read(reader)
    return None if data is None else _calls.decode(data)


async def read_answer(reader: asyncio.StreamReader) -> Answer | None:
    """The next answer; None at the end."""
    data = await _read(reader)
    return None if data is None else _answers.decode(data)


async def _read(reader: asyncio.StreamReader) -> bytes | None:
    try:
        size = int.from_bytes(await reader.readexactly(4), "big")
        if size > FRAME:
            raise ValueError("a frame is larger than any that we write")
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
