"""Servers of an address: SRV records and autoconfig files, asked of a network that is written down here."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from restante.sync.config import Server
from restante.sync.discover import Found, Record, Ways, discover, parse_autoconfig, within

FILE = b"""<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1"><emailProvider id="example.com">
  <domain>example.com</domain>
  <incomingServer type="imap"><hostname>imap.example.com</hostname><port>143</port><socketType>STARTTLS</socketType>
    <username>%EMAILLOCALPART%</username></incomingServer>
  <incomingServer type="imap"><hostname>imap.example.com</hostname><port>993</port><socketType>SSL</socketType>
    <username>%EMAILADDRESS%</username></incomingServer>
  <incomingServer type="pop3"><hostname>pop.%EMAILDOMAIN%</hostname><port>995</port><socketType>SSL</socketType>
    <username>x</username></incomingServer>
  <incomingServer type="exchange"><hostname>e</hostname></incomingServer>
  <outgoingServer type="smtp"><hostname>smtp.example.com</hostname><port>587</port><socketType>STARTTLS</socketType>
    <username>y</username></outgoingServer>
</emailProvider></clientConfig>"""
IMAP, POP3 = Server("imap.example.com", 993, "implicit"), Server("pop.example.com", 995, "implicit")
SMTP = Server("smtp.example.com", 587, "starttls")


@dataclass
class Network(Ways):
    records: dict[str, list[Record]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def srv(self, name: str) -> list[Record]:
        self.asked.append(name)
        return self.records.get(name, [])

    async def https(self, url: str) -> bytes:
        assert url.startswith("https://")
        self.asked.append(url)
        return self.files.get(url, b"")


def find(network: Network, address: str = "anna@example.com") -> Found:
    return asyncio.run(discover(address, network))


def test_an_autoconfig_file() -> None:
    found = parse_autoconfig(FILE, "anna@example.com")
    assert (found.imap, found.pop3, found.smtp, found.user) == (IMAP, POP3, SMTP, "anna@example.com")


def test_a_name_that_would_move_a_cursor_is_not_taken() -> None:
    assert parse_autoconfig(FILE.replace(b"%EMAILADDRESS%", "\x9b2Janna".encode()), "anna@example.com").user == ""


@contextmanager
def web(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives this answer whatever it is asked, its address, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # closed
                while True:
                    peer, _ = listener.accept()
                    with peer:
                        asked.append(peer.recv(65_536))
                        peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://exa mple/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://a..b/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_http_gives_nothing(answer: bytes) -> None:
    with web(answer) as (url, asked):
        assert asyncio.run(Ways().https(url)) == b""
    assert len(asked) == 1


def test_no_redirect_leads_through_the_clear() -> None:
    """It may be somebody else's, and lead on to a secure place of his own."""
    with (
        web(b"HTTP/1.1 200 OK\r\n\r\n" + FILE) as (elsewhere, asked),
        web(f"HTTP/1.1 301 Moved\r\nLocation: {elsewhere}\r\n\r\n".encode()) as (url, _),
    ):
        assert asyncio.run(Ways().https(url)) == b""
    assert asked == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>not found</html>",
        b"<clientConfig>",
        FILE.replace(b"UTF-8", b"none"),
        FILE.replace(b"UTF-8", b"utf-7"),
        FILE.replace(b"<clientConfig", b'<!DOCTYPE x [<!ENTITY a "aaaa">]><clientConfig'),
        FILE.replace(b"SSL", b"plain").replace(b"STARTTLS", b"plain"),
        FILE.replace(b"example.com</hostname>", b"example.com/x y</hostname>").replace(b"pop.", b"-"),
    ],
)
def test_what_is_no_such_file_gives_nothing(data: bytes) -> None:
    found = parse_autoconfig(data, "anna@example.com")
    assert (found.imap, found.pop3, found.smtp) == (None, None, None)


def test_srv_records_rfc6186_4() -> None:
    network = Network(
        records={
            "_imap._tcp.example.com": [Record(10, 0, 143, "imap.example.com")],
            "_imaps._tcp.example.com": [
                Record(10, 0, 9930, "second.example.com"), Record(0, 1, 993, "light.example.com"),
                Record(0, 5, 993, "imap.example.com"),
            ],
            "_submission._tcp.example.com": [Record(0, 0, 587, "smtp.example.com")],
            "_pop3s._tcp.example.com": [Record(0, 0, 0, ".")],
        }
    )  # fmt: skip
    found = find(network)
    assert (found.imap, found.pop3, found.smtp) == (IMAP, None, SMTP)
    assert found.source == "SRV records of example.com"


def test_a_service_that_is_not_offered_rfc6186_3_4() -> None:
    assert find(Network(records={"_imaps._tcp.example.com": [Record(0, 0, 0, "")]})) == Found()


def test_the_domains_own_file_counts_first_and_the_list_last() -> None:
    other = FILE.replace(b"imap.example.com", b"imap.listed.example")
    listed = "https://autoconfig.thunderbird.net/v1.1/example.com"
    own = "https://autoconfig.example.com/mail/config-v1.1.xml"
    records = {"_imaps._tcp.example.com": [Record(0, 0, 993, "imap.srv.example")]}
    imap = find(Network(files={listed: other})).imap
    assert imap is not None
    assert imap.host == "imap.listed.example"
    imap = find(Network(records, {listed: other})).imap
    assert imap is not None
    assert imap.host == "imap.srv.example"
    assert find(Network(records, {listed: other, own: FILE})).imap == IMAP


def test_nobody_is_told_the_address() -> None:
    network = Network()
    assert find(network, "anna.secret@example.com") == Found()
    assert len(network.asked) == 9
    assert not any("anna" in each for each in network.asked)


@pytest.mark.parametrize("address", ["anna", "anna@", "anna@a b", "anna@-x", "anna@a..b", "anna@x/../y"])
def test_what_is_no_domain_is_not_asked_for(address: str) -> None:
    network = Network()
    assert find(network, address) == Found()
    assert network.asked == []


def test_within() -> None:
    assert within(IMAP, "Example.com")
    assert within(Server("example.com", 1, "none"), "example.com")
    assert not within(Server("badexample.com", 1, "none"), "example.com")
