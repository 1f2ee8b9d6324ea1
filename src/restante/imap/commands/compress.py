"""COMPRESS: from its OK on all octets go through DEFLATE, beneath TLS where that is on. RFC 4978 3.

What the layer does is the connection's; here is only when it begins. TLS does not compress (OpenSSL is told not to),
so the one layer that can be active already is this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..grammar.commands import Compress
from ..session.state import ALREADY_SAID, BadCommand, Reply

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def compress(session: ImapSession, command: Compress) -> Reply:
    """Begin. Raises Refusal (LIMIT) where as many connections are compressed as may be."""
    if not session.config.compress:
        raise BadCommand("Compression is turned off here.")
    if session.connection.compressed:
        raise BadCommand("DEFLATE is active already.", b"COMPRESSIONACTIVE")
    await session.flush()
    session.connection.start_compression(session.answer(Reply(b"DEFLATE active."), command.tag))
    session.reader.discard()  # the client must not send anything before it has seen the OK
    return ALREADY_SAID
