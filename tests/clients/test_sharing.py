"""Sharing and quotas through a real server and imaplib, which knows the commands of RFC 4314 and RFC 2087."""

from __future__ import annotations

import imaplib
from typing import Any

import pytest

from restante.testing.server import RestanteServer

from .support import PATIENCE

pytestmark = pytest.mark.client

PROJECTS = '"Other Users/bob@example.org/Projects"'


def log_in(server: RestanteServer, address: str) -> imaplib.IMAP4:
    client = imaplib.IMAP4(server.host, server.imap, timeout=PATIENCE)
    assert client.login(address, "secret")[0] == "OK"
    return client


def said(answer: Any) -> bytes:  # imaplib's shapes differ from method to method
    """All that an answer holds, its status first."""
    pieces = [answer[0].encode()]
    for one in answer[1]:
        for each in one if isinstance(one, list | tuple) else [one]:
            pieces.append(b" ".join(each) if isinstance(each, list) else each or b"")
    return b" ".join(pieces)


def test_a_shared_mailbox_from_both_sides(restante_server: RestanteServer) -> None:
    restante_server.add_account("ann@example.org", "secret")
    restante_server.add_account("bob@example.org", "secret", quota=5_000)
    ann, bob = log_in(restante_server, "ann@example.org"), log_in(restante_server, "bob@example.org")
    assert said(bob.create("Projects")).startswith(b"OK")
    restante_server.put("bob@example.org", b"Subject: plan\r\n\r\nour plan\r\n", mailbox="Projects")
    assert said(bob.setacl("Projects", "ann@example.org", "lrsi")).startswith(b"OK")
    assert said(bob.getacl("Projects")) == b"OK Projects bob@example.org lrswipkxteacd ann@example.org lrsi"
    assert b'(("Other Users/" "/"))' in said(ann.namespace())
    assert PROJECTS.encode() in said(ann.list())
    assert said(ann.myrights(PROJECTS)) == b"OK %b lrsi" % PROJECTS.encode()
    assert said(ann.select(PROJECTS)) == b"OK 1"
    assert b"our plan\r\n" in said(ann.fetch("1", "(BODY[TEXT])"))
    assert said(ann.store("1", "+FLAGS", "\\Deleted")).startswith(b"NO [NOPERM]")
    assert said(ann.copy("1", "INBOX")).startswith(b"OK")
    assert b"bob@example.org (STORAGE 1 5 MAILBOX 7 10000)" in said(ann.getquotaroot(PROJECTS))
    large = b"Subject: x\r\n\r\n" + b"x" * 5_000
    assert said(ann.append(PROJECTS, None, None, large)).startswith(b"NO [OVERQUOTA]")
    assert said(bob.deleteacl("Projects", "ann@example.org")).startswith(b"OK")
    assert said(ann.fetch("1", "(BODY[TEXT])")).startswith(b"NO [NONEXISTENT]")
    with pytest.raises(imaplib.IMAP4.abort):
        ann.noop()
    bob.logout()
