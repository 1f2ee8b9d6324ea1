"""curl as an IMAP and POP3 client: one request a run, as scripts use it."""

from __future__ import annotations

import pytest

from .support import Reader, letter, program

pytestmark = pytest.mark.client

LOGIN_DENIED = 67
NO_PEER_VERIFICATION = 60


def curl(demo: Reader, url: str, *options: str, code: int = 0) -> str:
    """Run curl on `url`, in which IMAP, IMAPS, POP3 and POP3S stand for the server's addresses."""
    server = demo.server
    ports = {"IMAP": server.imap, "IMAPS": server.imaps, "POP3": server.pop3, "POP3S": server.pop3s}
    scheme, rest = url.split(":", 1)
    # -q: no ~/.curlrc. As bytes on the output they are UTF-8 here, whatever a message holds.
    return demo.run(
        program("curl"), "-q", "--silent", "--show-error", "--max-time", "25",
        *(() if "--user" in options else ("--user", f"{demo.user}:{demo.password}")), *options,
        f"{scheme.lower()}://{server.host}:{ports[scheme]}/{rest}", code=code,
    )  # fmt: skip


def test_imap_lists_and_fetches(demo: Reader) -> None:
    listed = curl(demo, "IMAP:")
    assert '"Projects/Garden"' in listed or " Projects/Garden" in listed
    stored = demo.server.mail(demo.user)[-1]
    assert curl(demo, f"IMAP:INBOX;UID={stored.uid}").encode() == stored.data
    header = curl(demo, f"IMAP:INBOX;UID={stored.uid};SECTION=HEADER.FIELDS%20(SUBJECT)")
    assert header.strip() == "Subject: Welcome to Restante"
    part = curl(demo, f"IMAP:INBOX;UID={stored.uid};SECTION=1")
    assert part.encode() in stored.data
    assert part.startswith("Hello,")
    assert curl(demo, f"IMAP:INBOX;UID={stored.uid};SECTION=1;PARTIAL=0.5") == "Hello"


def test_imap_searches_and_stores(demo: Reader) -> None:
    assert curl(demo, "IMAP:INBOX?SUBJECT%20Receipts").split() == ["*", "SEARCH", "1"]
    curl(demo, "IMAP:INBOX", "--request", r"STORE 1 +FLAGS (\Flagged $Forwarded)")
    assert demo.flags()["Receipts for the wall"] == {r"\Seen", r"\Flagged", "$Forwarded"}
    curl(demo, "IMAP:INBOX", "--request", r"STORE 1 +FLAGS.SILENT (\Deleted)")
    curl(demo, "IMAP:INBOX", "--request", "EXPUNGE")
    assert "Receipts for the wall" not in demo.pop3_subjects()


def test_imap_uploads(demo: Reader) -> None:
    message = letter("Uploaded", "as it is\r\n")
    (demo.home / "message.eml").write_bytes(message)
    curl(demo, "IMAPS:INBOX", "--cacert", str(demo.server.certificate), "--upload-file", "message.eml")
    assert demo.server.mail(demo.user)[-1].data == message
    assert demo.pop3_subjects()[-1] == "Uploaded"


def test_pop3_lists_retrieves_and_deletes(demo: Reader) -> None:
    stored = demo.server.mail(demo.user)
    assert curl(demo, "POP3:").split("\r\n")[:-1] == [f"{n} {len(each.data)}" for n, each in enumerate(stored, 1)]
    assert curl(demo, f"POP3:{len(stored)}").encode() == stored[-1].data
    assert curl(demo, "POP3:", "--request", "UIDL").split()[1::2] == [uidl.decode() for uidl in demo.uidls()]
    curl(demo, "POP3:1", "--request", "DELE", "--list-only")
    assert [each.uid for each in demo.server.mail(demo.user)] == [each.uid for each in stored[1:]]
    assert "Receipts for the wall" not in demo.subjects()


@pytest.mark.parametrize("url", ["IMAP:INBOX;UID=1", "IMAPS:INBOX;UID=1", "POP3:1", "POP3S:1"])
def test_tls_is_verified_by_the_certificate_made_at_the_first_start(demo: Reader, url: str) -> None:
    server = demo.server
    told = curl(demo, url, "--ssl-reqd", code=NO_PEER_VERIFICATION)
    assert "certificate" in told
    data = curl(demo, url, "--ssl-reqd", "--cacert", str(server.certificate))
    assert data.encode() == server.mail(demo.user)[0].data


@pytest.mark.parametrize("url", ["IMAP:", "POP3:"])
@pytest.mark.parametrize("user", ["demo@example.org:wrong", "nobody@example.org:restante"])
def test_a_wrong_password_and_an_unknown_user_are_one_refusal(demo: Reader, url: str, user: str) -> None:
    assert "denied" in curl(demo, url, "--user", user, code=LOGIN_DENIED).lower()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("url", ["IMAP:", "POP3:"])
def test_each_sasl_mechanism_logs_in(demo: Reader, url: str, mechanism: str) -> None:
    assert curl(demo, url, "--login-options", f"AUTH={mechanism}")


def test_a_missing_mailbox_is_refused(demo: Reader) -> None:
    # curl has this exit status for whatever a server refuses after the connection stands.
    assert "Select failed" in curl(demo, "IMAP:No/such", "--request", "NOOP", code=LOGIN_DENIED)
