"""Listening sockets: bound once by the supervisor, accepted from by every worker.

Workers share one socket a listener. So that connections spread evenly, a worker that has more connections
than another leaves a new one lying for a moment; whoever is idle then takes it. While it looks away, others need not
be as polite to it, or one client that comes again at once would be left lying by all (`Limits.others_are_idler`).

All who wait are woken by each connection, and one of them gets it. Who comes too late leaves the next ones to the
others for a moment: they go where the last one went, to a process whose code and data are at hand, and no core wakes
in vain.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import os
import pwd
import socket
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..config.listen import Address, TcpAddress, UnixAddress, parse_listener
from ..config.model import ListenTable
from ..errors import Refusal
from .limits import Limits
from .logs import Logger
from .services import Service
from .sockets import has_options, set_options

BACKLOG = 1024
_POLITE = 0.002
_IN_VAIN = 0.002
_STARVED = 0.2
TOLD = 60.0
"""Seconds for which a listener that cannot accept says so once: it tries again five times a second."""


class CannotListen(Refusal):
    """An address cannot be bound."""

    code = "CANNOT-LISTEN"


@dataclass(frozen=True, slots=True)
class Bound:
    """A listening socket. address: the real one, after port 0 was resolved."""

    service: Service
    address: Address
    sock: socket.socket


def wanted(table: ListenTable, replaced: Mapping[str, str | list[str]]) -> list[tuple[Service, Address]]:
    """All listeners of the configuration, those in `replaced` (from the command line) instead of theirs.

    Raises BadListener.
    """
    result: list[tuple[Service, Address]] = []
    for name in replaced:
        parse_listener(name, "off")
    for service in Service:
        value = replaced.get(service.value, getattr(table, service.value))
        result += [(service, address) for address in parse_listener(service.value, value)]
    return result


@dataclass(frozen=True, slots=True)
class UnixRights:
    """Whose a Unix socket is: names or numbers, empty as the system makes it. Who can write to it may connect."""

    owner: str = ""
    group: str = ""
    mode: int = 0o660


def unix_rights(table: ListenTable) -> UnixRights:
    return UnixRights(table.unix_owner, table.unix_group, int(table.unix_mode, 8))


def bind_all(listeners: Iterable[tuple[Service, Address]], rights: UnixRights = UnixRights()) -> list[Bound]:
    """Bind and listen; all or none. rights: of Unix sockets. Raises CannotListen."""
    bound: list[Bound] = []
    try:
        for service, address in listeners:
            if isinstance(address, UnixAddress):
                bound.append(Bound(service, address, _bind_unix(service, address.path, rights)))
            else:
                bound += _bind_tcp(service, address)
    except BaseException:
        close_all(bound)
        raise
    return bound


def close_all(bound: Sequence[Bound], *, unlink: bool = True) -> None:
    """Close listening sockets; take Unix sockets out of the file system unless they belong to others."""
    for one in bound:
        one.sock.close()
        if unlink and isinstance(one.address, UnixAddress):
            with contextlib.suppress(OSError):  # on a disk that is read-only now: who starts next sees that it is dead
                Path(one.address.path).unlink(missing_ok=True)


def _bind_tcp(service: Service, address: TcpAddress) -> list[Bound]:
    result: list[Bound] = []
    for family, host in _resolve(service, address):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, address.port))
            sock.listen(BACKLOG)
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            for one in result:
                one.sock.close()
            raise _refusal(service, address, error) from error
        result.append(Bound(service, TcpAddress(host, sock.getsockname()[1]), sock))
    return result


def _resolve(service: Service, address: TcpAddress) -> list[tuple[int, str]]:
    """(family, numeric address) of a host; both families for "*", IPv6 only where the machine has it."""
    if address.host == "*":
        both = [(int(socket.AF_INET), "0.0.0.0")]
        return (
            [*both, (int(socket.AF_INET6), "::")] if socket.has_ipv6 and Path("/proc/net/if_inet6").exists() else both
        )
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise CannotListen(
            f"{service.value}: the address {address.host} is not known here.",
            f"Write an address of this machine: --listen {service.value}=127.0.0.1:{address.port}",
        ) from error
    return list(dict.fromkeys((int(family), str(where[0])) for family, _, _, _, where in found))[:1]


def _refusal(service: Service, address: TcpAddress, error: OSError) -> CannotListen:
    name = service.value
    if error.errno == errno.EADDRINUSE:
        return CannotListen(
            f"{name}: port {address.port} on {address.host} is in use by another program.",
            f"Stop it, or choose another port: --listen {name}={TcpAddress(address.host, (address.port + 1) % 65536)}",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return CannotListen(
            f"{name}: you have no right to port {address.port}.",
            f"Choose one above 1023: --listen {name}={TcpAddress(address.host, 1000 + address.port)}",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return CannotListen(
            f"{name}: {address.host} is no address of this machine.",
            f"Choose one that is: --listen {name}=127.0.0.1:{address.port}",
        )
    return CannotListen(f"{name}: cannot listen on {address} ({error.strerror}).", "Choose another address.")


def _bind_unix(service: Service, path: str, rights: UnixRights) -> socket.socket:
    """A Unix socket. One that stands there is replaced only if nobody answers on it.

    It has its owner, group and mode before it listens, so there is no instant in which others could connect.
    """
    owner, group = _number(service, rights.owner, "user"), _number(service, rights.group, "group")
    _remove_dead(service, path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~rights.mode)
    made = False
    try:
        sock.bind(path)
        made = True
        if (owner, group) != (-1, -1):
            os.chown(path, owner, group, follow_symlinks=False)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if not made:
            raise CannotListen(
                f"{service.value}: the socket {path} cannot be made ({error.strerror}).",
                f"Choose another: --listen {service.value}=unix:/path/to/socket",
            ) from error
        Path(path).unlink(missing_ok=True)
        raise CannotListen(
            f"{service.value}: the socket {path} cannot be given to"
            f" {rights.owner or 'its owner'}:{rights.group or 'its group'} ({error.strerror}).",
            "Only root can give it to another user; a group must be one that the server's user is in.",
        ) from error
    finally:
        os.umask(before)
    return sock


def _number(service: Service, name: str, kind: Literal["user", "group"]) -> int:
    """The number of a user or group, -1 for no name. Raises CannotListen."""
    if not name:
        return -1
    if name.isdecimal():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except KeyError:
        key = "unix_owner" if kind == "user" else "unix_group"
        raise CannotListen(
            f'{service.value}: there is no {kind} "{name}" on this machine.', f"Change listen.{key}, or leave it out."
        ) from None


def _remove_dead(service: Service, path: str) -> None:
    try:
        status = Path(path).lstat()
    except OSError:
        return
    taken = CannotListen(
        f"{service.value}: {path} is there already.",
        f"Stop the program that uses it, or choose another: --listen {service.value}=unix:/path/to/socket",
    )
    if not stat.S_ISSOCK(status.st_mode):
        raise taken
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
            return
        except OSError:
            raise taken from None
    raise taken


OnAccept = Callable[[Service, socket.socket, str], None]
"""Called with the service, a socket that has its options, and the peer's address without port. An event loop that takes
the socket makes it one that does not block."""


class Acceptor:
    """Takes connections from one listening socket into one event loop."""

    def __init__(
        self, bound: Bound, loop: asyncio.AbstractEventLoop, limits: Limits, log: Logger, on_accept: OnAccept
    ) -> None:
        self._bound = bound
        self._loop = loop
        self._limits = limits
        self._log = log
        self._on_accept = on_accept
        self._later: asyncio.TimerHandle | None = None
        self._waited = False
        self._told: float | None = None
        self._tcp = bound.sock.family != socket.AF_UNIX
        self._inherits = not self._tcp
        """Connections have their options when they come. They are taken in the order in which they came: behind the
        first that had them from the listening socket, nobody need be asked."""
        loop.add_reader(bound.sock, self._ready)

    def close(self) -> None:
        """Stop accepting; the socket itself is its owner's."""
        if self._later is not None:
            self._later.cancel()
            self._limits.look_back()
        self._loop.remove_reader(self._bound.sock)

    def _pause(self, seconds: float, waited: bool) -> None:
        self._loop.remove_reader(self._bound.sock)
        self._limits.look_away()
        self._later = self._loop.call_later(seconds, self._resume, waited)

    def _resume(self, waited: bool) -> None:
        self._later = None
        self._limits.look_back()
        self._waited = waited
        self._loop.add_reader(self._bound.sock, self._ready)

    def _ready(self) -> None:
        """Take one connection. As a rule nobody waits behind it; who does wakes the loop again."""
        # Who is full could but turn it away, however long it waits for one that has room.
        if (not self._waited or self._limits.full) and self._limits.others_are_idler():
            self._pause(_POLITE, True)
            return
        self._waited = False
        try:
            sock, where = self._bound.sock.accept()
        except BlockingIOError:
            if self._limits.others_listen():
                self._pause(_IN_VAIN, False)
            return
        except (InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            # No descriptors or memory left: what waits keeps waiting; spinning here would help nobody.
            now = self._loop.time()
            if self._told is None or now - self._told >= TOLD:
                self._told = now
                self._log.error("cannot accept", listener=str(self._bound.address), reason=error.strerror)
            self._pause(_STARVED, False)
            return
        if not self._inherits:
            self._inherits = has_options(sock)
            if not self._inherits:
                set_options(sock, self._bound.service.wire)
        self._on_accept(self._bound.service, sock, where[0] if self._tcp else "unix")
