"""The Part tree as octets, for Column.PARTS: MessagePack arrays, offsets and names in `mime.model.Part`'s order.

The message's own offsets come first, so that who wants its header or its text reads three numbers and no tree.
"""

from __future__ import annotations

import msgspec

from ..mime.model import Part


class _Node(msgspec.Struct, array_like=True, frozen=True):
    header: int
    body: int
    end: int
    type: str
    subtype: str
    encoding: str
    charset: str
    lines: int
    children: tuple[_Node, ...]


class Offsets(msgspec.Struct, array_like=True, frozen=True):
    """Where the message itself lies: its header is header:body, its text body:end."""

    header: int
    body: int
    end: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Node)
_offsets = msgspec.msgpack.Decoder(Offsets)  # passes over what stands behind


def encode(part: Part) -> bytes:
    """Octets that stand for a Part and all it holds."""
    return _encoder.encode(_node(part))


def decode(data: bytes) -> Part:
    """The Part that `encode` was given. Raises ValueError for other octets."""
    return _part(_decoder.decode(data))


def offsets(data: bytes) -> Offsets:
    """The message's own offsets, without its parts. Raises ValueError for other octets."""
    return _offsets.decode(data)


def _node(part: Part) -> _Node:
    return _Node(
        part.header, part.body, part.end, part.type, part.subtype, part.encoding, part.charset, part.lines,
        tuple(_node(child) for child in part.children),
    )  # fmt: skip


def _part(node: _Node) -> Part:
    return Part(
        node.header, node.body, node.end, node.type, node.subtype, node.encoding, node.charset, node.lines,
        tuple(_part(child) for child in node.children),
    )  # fmt: skip
