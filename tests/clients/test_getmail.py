"""getmail: mail retrieved by a delivery command, left on the server, and never twice."""

from __future__ import annotations

import pytest

from .support import Reader, letter, program, subject

pytestmark = pytest.mark.client


def getmail(demo: Reader, retriever: str, password: str | None = None, code: int | None = 0) -> str:
    """One run that leaves all mail on the server; retriever: lines of its section.

    Each message goes to the end of the file `got`, with a NUL after it: getmail's own Maildir writer refuses root. The
    command ends when getmail waits for it: 6.18 misses the end of one that is faster, and waits a minute in vain.
    """
    waited_for = "until grep -q ^State:.S /proc/$PPID/status; do :; done"
    demo.write(
        "getmailrc",
        f"[retriever]\n{retriever}\nserver = {demo.server.host}\nusername = {demo.user}\n"
        f"password = {password or demo.password}\n"
        "[destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\nunixfrom = false\n"
        f"arguments = ('-c', 'cat >> {demo.home}/got && printf \"\\\\000\" >> {demo.home}/got && {waited_for}')\n"
        "[options]\nread_all = false\ndelete = false\nverbose = 1\ndelivered_to = false\nreceived = false\n",
    )
    return demo.run(program("getmail"), f"--getmaildir={demo.home}", "--rcfile=getmailrc", code=code)


def got(demo: Reader) -> list[str]:
    path = demo.home / "got"
    return [subject(data) for data in path.read_bytes().split(b"\0")[:-1]] if path.exists() else []


@pytest.mark.parametrize("retriever", ["SimplePOP3Retriever", "SimplePOP3SSLRetriever", "SimpleIMAPSSLRetriever"])
def test_mail_left_on_the_server_is_retrieved_once(demo: Reader, retriever: str) -> None:
    server = demo.server
    if retriever == "SimplePOP3Retriever":
        lines = f"type = {retriever}\nport = {server.pop3}"
    else:
        port = server.pop3s if "POP3" in retriever else server.imaps
        lines = f"type = {retriever}\nport = {port}\nca_certs = {server.certificate}"
    before = demo.subjects()
    getmail(demo, lines)
    assert got(demo) == before
    getmail(demo, lines)
    assert got(demo) == before
    demo.deliver(letter("The new one"))
    getmail(demo, lines)
    assert got(demo) == [*before, "The new one"]
    assert demo.subjects() == [*before, "The new one"]


def test_a_wrong_password_is_told_as_one(demo: Reader) -> None:
    said = getmail(demo, f"type = SimplePOP3Retriever\nport = {demo.server.pop3}", password="not it", code=None)
    assert "Authentication failed" in said
    assert got(demo) == []
