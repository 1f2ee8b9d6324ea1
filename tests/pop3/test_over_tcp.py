"""Delivery by LMTP and reading by POP3 through the whole server, with Python's own clients."""

from __future__ import annotations

import poplib
import smtplib
import ssl

import pytest

from restante.testing.server import RestanteServer

ANN = "ann@example.org"
MESSAGE = b"From: <chris@bar.example>\r\nTo: <ann@example.org>\r\nSubject: hello\r\n\r\n.a dot\r\nbody\r\n"


def test_mail_in_by_lmtp_and_out_by_pop3_over_tls(restante_server: RestanteServer) -> None:
    restante_server.add_account(ANN, "secret")
    with smtplib.LMTP(restante_server.host, restante_server.lmtp) as lmtp:
        assert lmtp.sendmail("chris@bar.example", [ANN], MESSAGE) == {}
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            lmtp.sendmail("chris@bar.example", ["nobody@example.org"], MESSAGE)
        assert refused.value.recipients["nobody@example.org"][0] == 550

    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE  # certificates are another room's; what matters here is STLS
    pop = poplib.POP3(restante_server.host, restante_server.pop3, timeout=20)
    pop.stls(trust)
    assert "PIPELINING" in pop.capa()
    pop.user(ANN)
    pop.pass_("secret")
    count, octets = pop.stat()
    assert count == 1
    _, lines, _ = pop.retr(1)
    received = b"\r\n".join(lines) + b"\r\n"
    assert len(received) == octets
    assert received.endswith(MESSAGE)
    assert pop.top(1, 0)[1][-1] == b""
    second = poplib.POP3(restante_server.host, restante_server.pop3, timeout=20)
    second.user(ANN)
    with pytest.raises(poplib.error_proto, match=r"\[IN-USE\]"):
        second.pass_("secret")
    pop.dele(1)
    pop.quit()
    second.user(ANN)
    second.pass_("secret")
    assert second.stat() == (0, 0)
    second.quit()
    assert restante_server.mail(ANN) == []
