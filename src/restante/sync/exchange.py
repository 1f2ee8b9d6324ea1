"""What a client says while it logs in, as generators: what is to be sent is yielded, what the server said is sent in.

No socket, no event loop, no base64: `remote.login` and `unchanged.line` carry it. StopIteration: nothing is left
to say. Mechanisms themselves stand in `restante.sasl`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see `cli.entry`
if TYPE_CHECKING:
    from collections.abc import Generator

    Exchange = Generator[bytes, bytes, None]
    """A mechanism: gives what the client says, is sent what the server says. Its first word comes without a
    challenge."""


def single(message: bytes, give_up: bytes | None = None) -> Exchange:
    """All is said at once. give_up: answers a challenge that says why it is refused, so that the server can say NO."""
    yield message
    if give_up is not None:
        yield give_up


def plain(user: str, password: str) -> Exchange:
    """PLAIN. Raises ValueError for a NUL."""
    from ..sasl.plain_client import plain_message

    return single(plain_message(user, password))


def scram(user: str, password: str, nonce: str, end_point: bytes | None = None) -> Exchange:
    """SCRAM-SHA-256; -PLUS with the connection's end point. It raises SaslFault where the server does not know the
    password, and waits for one octet string more once it has shown that it does."""
    from ..sasl.scram import Binding
    from ..sasl.scram_client import ScramClient

    binding = Binding.NONE if end_point is None else Binding.USED
    client = ScramClient(user, password, nonce, binding=binding, binding_data=end_point or b"")
    server_first = yield client.first()
    server_final = yield client.final(server_first)
    client.verify(server_final)
    yield b""
