"""Where an address's servers are: SRV records (RFC 6186, RFC 8314) and the autoconfig files of mail applications.

Asked once, by `restante sync init`, on a network. Autoconfig is read over https alone; SRV records can be forged where
there is no DNSSEC, so a server outside the address's domain is for a person to confirm (RFC 6186 6).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from .config import PORTS, Server

TIMEOUT = 10.0
"""Seconds for each place that is asked."""

MAX_FILE = 256 << 10

_SRV = {
    "imap": (("_imaps._tcp", "implicit"), ("_imap._tcp", "starttls")),
    "pop3": (("_pop3s._tcp", "implicit"), ("_pop3._tcp", "starttls")),
    "smtp": (("_submissions._tcp", "implicit"), ("_submission._tcp", "starttls")),
}
"""TLS from the first octet before the other (RFC 8314 3)."""

_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_SOCKETS = {"SSL": "implicit", "STARTTLS": "starttls"}


@dataclass(frozen=True, slots=True)
class Record:
    """An SRV record."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Found:
    """What was found. source: where, for people. user: the name to log in with, "" where it is not told."""

    imap: Server | None = None
    pop3: Server | None = None
    smtp: Server | None = None
    user: str = ""
    source: str = ""


class Ways:
    """How the network is asked; tests put others in their place."""

    async def srv(self, name: str) -> list[Record]:
        """The SRV records of a name; none where the name, the network or dnspython is missing."""
        try:
            import dns.asyncresolver
            import dns.exception
        except ImportError:
            return []
        try:
            answer = await dns.asyncresolver.resolve(name, "SRV", lifetime=TIMEOUT)
        except (dns.exception.DNSException, OSError):
            return []
        return [Record(each.priority, each.weight, each.port, str(each.target).rstrip(".")) for each in answer]

    async def https(self, url: str) -> bytes:
        """The octets of a URL; none where there is no such file or network."""
        return await asyncio.to_thread(_get, url)


def _get(url: str) -> bytes:
    import http.client
    import urllib.request

    class SecureRedirects(urllib.request.HTTPRedirectHandler):
        """Not one step in the clear, though the next were secure again: it could lead anywhere."""

        def redirect_request(self, *told: Any) -> urllib.request.Request | None:  # Any: as urllib has them
            return super().redirect_request(*told) if str(told[-1]).startswith("https:") else None

    try:
        with urllib.request.build_opener(SecureRedirects).open(url, timeout=TIMEOUT) as answer:
            return bytes(answer.read(MAX_FILE))
    except (OSError, ValueError, http.client.HTTPException):
        return b""


async def discover(address: str, ways: Ways | None = None) -> Found:
    """The servers of an address; a `Found` of nothing where nothing is told or there is no network.

    All places are asked at once; the domain's own autoconfig counts before SRV, the list that Mozilla keeps last.
    That list learns the domain, never the address.
    """
    domain = address.rpartition("@")[2].lower()
    if "@" not in address or not _DOMAIN.fullmatch(domain) or ".." in domain:
        return Found()
    ways = ways or Ways()
    own = (
        f"https://autoconfig.{domain}/mail/config-v1.1.xml",
        f"https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml",
    )
    first, second, records, listed = await asyncio.gather(
        *(_autoconfig(ways, url, address) for url in own),
        _records(ways, domain),
        _autoconfig(ways, f"https://autoconfig.thunderbird.net/v1.1/{domain}", address),
    )
    return next((found for found in (first, second, records, listed) if found.imap or found.pop3), Found())


async def _records(ways: Ways, domain: str) -> Found:
    names = [(kind, tls, f"{label}.{domain}") for kind, labels in _SRV.items() for label, tls in labels]
    answers = await asyncio.gather(*(ways.srv(name) for _, _, name in names))
    found: dict[str, Server] = {}
    for (kind, tls, _), records in zip(names, answers, strict=True):
        server = _best(records, tls)
        if server is not None:
            found.setdefault(kind, server)
    return Found(found.get("imap"), found.get("pop3"), found.get("smtp"), source=f"SRV records of {domain}")


def _best(records: Sequence[Record], tls: str) -> Server | None:
    """Of the lowest priority the heaviest (RFC 2782 would draw lots: here one server is written down). A target "."
    says that the service is not offered (RFC 6186 3.4)."""
    usable = [each for each in records if _DOMAIN.fullmatch(each.target) and 0 < each.port < 65_536]
    best = min(usable, key=lambda each: (each.priority, -each.weight), default=None)
    return None if best is None else Server(best.target, best.port, tls)


async def _autoconfig(ways: Ways, url: str, address: str) -> Found:
    return parse_autoconfig(await ways.https(url), address, url)


def parse_autoconfig(data: bytes, address: str, source: str = "") -> Found:
    """The servers of an autoconfig file (config-v1.1.xml), those with TLS alone; none for what is no such file."""
    if not data or b"<!DOCTYPE" in data or b"<!ENTITY" in data:  # such a file has neither, and entities can grow
        return Found()
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError):  # also for an encoding that it does not know, or read
        return Found()
    found: dict[str, Server] = {}
    user = ""
    for tag, kinds in (("incomingServer", ("imap", "pop3")), ("outgoingServer", ("smtp",))):
        for each in root.iterfind(f"emailProvider/{tag}"):
            kind, server = each.get("type", ""), _server(each, each.get("type", ""), address)
            if kind in kinds and server is not None and (kind not in found or _better(server, found[kind])):
                found[kind] = server
                if kind == "imap" or (not user and kind == "pop3"):
                    user = _filled(each.findtext("username") or "", address)
    shown = user if user.isprintable() else ""  # a person is asked whether it is right
    return Found(found.get("imap"), found.get("pop3"), found.get("smtp"), shown, source)


def _server(each: ElementTree.Element, kind: str, address: str) -> Server | None:
    tls = _SOCKETS.get((each.findtext("socketType") or "").strip())
    host = _filled((each.findtext("hostname") or "").strip(), address)
    port = (each.findtext("port") or "").strip()
    if tls is None or (kind, tls) not in PORTS or not _DOMAIN.fullmatch(host):
        return None
    number = int(port) if re.fullmatch(r"[0-9]{1,5}", port) else PORTS[kind, tls]
    return Server(host, number, tls) if 0 < number < 65_536 else None


def _better(one: Server, other: Server) -> bool:
    return one.tls == "implicit" and other.tls != "implicit"


def _filled(text: str, address: str) -> str:
    local, _, domain = address.rpartition("@")
    for name, value in (("EMAILADDRESS", address), ("EMAILLOCALPART", local), ("EMAILDOMAIN", domain)):
        text = text.replace(f"%{name}%", value)
    return text


def within(server: Server, domain: str) -> bool:
    """Whether a server stands in the domain itself, and so needs nobody's word (RFC 6186 6)."""
    return server.host.lower() == domain.lower() or server.host.lower().endswith(f".{domain.lower()}")
