"""What comes back: a report in the form of RFC 3464, and the question about an uncertain message. Pure.

Made by ourselves for ourselves: filed into the copy's INBOX, never sent. The message itself goes along whole, so that
it can be sent again from there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

from ...clock import Random
from ...mime.headers import header_end
from .entry import Entry, Recipient

_ENHANCED = re.compile(r"\b([245]\.[0-9]{1,3}\.[0-9]{1,3})\b")
_WIDTH = 78


def returned(
    entry: Entry, refused: Sequence[Recipient], message: bytes, server: str, now: float, random: Random
) -> bytes:
    """The report that `refused` did not get the message. server: where it was handed in, for people."""
    names = "".join(f"  {each.address}\r\n      {_folded(each.said)}\r\n" for each in refused)
    if entry.attempts:
        why = f"This message could not be sent to:\r\n\r\n{names}\r\nIt was handed to {server} by way"
    else:  # it names nobody, or cannot be sent as it is
        why = f"This message was not sent:\r\n\r\n      {_folded(refused[0].said)}\r\n\r\nIt lay in the Outbox"
    text = (
        f"{why} of the copy {entry.copy}. {_others(entry, refused)}"
        "It is attached whole, so that you can send it again.\r\n"
    )
    status = f"Reporting-MTA: dns; localhost\r\nArrival-Date: {_date(entry.created)}\r\n"
    for each in refused:
        code = _ENHANCED.search(each.said)
        kind = "utf-8" if not each.address.isascii() else "rfc822"
        status += (
            f"\r\nFinal-Recipient: {kind}; {each.address}\r\nAction: failed\r\n"
            f"Status: {_permanent(code[1]) if code else '5.0.0'}\r\n"
        )
        if each.said[:3].isdigit():
            status += f"Remote-MTA: dns; {_mta(server)}\r\nDiagnostic-Code: smtp; {_folded(each.said)}\r\n"
    return _report(entry, f"Not sent: {entry.subject or '(no subject)'}", text, status, message, now, random)


def uncertain(entry: Entry, message: bytes, server: str, now: float, random: Random) -> bytes:
    """The question whether a message arrived whose sending was cut off."""
    text = (
        f"Sending this message was cut off at the moment when {server} may have taken it, or may not.\r\n"
        "It is not sent again by itself: whoever got it would have it twice. Look whether it arrived "
        f"({_word(len(entry.waiting))}), and then say one of\r\n\r\n"
        f"  restante send --retry {entry.id}     it did not arrive: send it again\r\n"
        f"  restante send --sent {entry.id}      it did: file it to Sent\r\n"
        f"  restante send --drop {entry.id}      forget it\r\n\r\n"
        f"To: {', '.join(entry.waiting[:20])}{', ...' if len(entry.waiting) > 20 else ''}\r\n"
    )
    status = f"Reporting-MTA: dns; localhost\r\nArrival-Date: {_date(entry.created)}\r\n"
    for address in entry.waiting:
        kind = "utf-8" if not address.isascii() else "rfc822"
        status += f"\r\nFinal-Recipient: {kind}; {address}\r\nAction: delayed\r\nStatus: 4.4.2\r\n"
    return _report(entry, f"Sent or not? {entry.subject or '(no subject)'}", text, status, message, now, random)


def _report(entry: Entry, subject: str, text: str, status: str, message: bytes, now: float, random: Random) -> bytes:
    boundary = f"restante-{random(12).hex()}"
    domain = entry.sender.rpartition("@")[2]
    host = domain if re.fullmatch(r"[A-Za-z0-9.-]+", domain) else "localhost.invalid"
    wide = not (text + status + entry.sender).isascii()
    to = f"To: {entry.sender}\r\n" if entry.sender else ""
    kind = "delivery-status" if not wide else "global-delivery-status"  # RFC 6533 3
    # An attachment keeps its octets: only a transfer encoding that changes none is named.
    encoding = "8bit" if not message.isascii() else "7bit"
    header = message[: max(header_end(message, 0, len(message)), 0)]
    attached = "message/rfc822" if header.isascii() else "message/global"
    head = (
        f"From: Restante outbox <mailer-daemon@{host}>\r\n{to}"
        f"Subject: {_encoded(subject)}\r\nDate: {_date(now)}\r\n"
        f"Message-ID: <{random(12).hex()}@{host}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type={kind};\r\n boundary="{boundary}"\r\n\r\n'
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n"
        f"--{boundary}\r\nContent-Type: message/{kind}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{status}\r\n"
        f"--{boundary}\r\nContent-Type: {attached}\r\nContent-Disposition: attachment\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return head.encode("utf-8") + message + f"\r\n--{boundary}--\r\n".encode()


def _others(entry: Entry, refused: Sequence[Recipient]) -> str:
    rest = len(entry.recipients) - len(refused)
    return (
        f"{rest} other recipients are not concerned. " if rest > 1 else "The other is not concerned. " if rest else ""
    )


def _word(number: int) -> str:
    return "1 recipient" if number == 1 else f"{number} recipients"


def _permanent(code: str) -> str:
    """A Status with Action: failed is of class 5 (RFC 3464 2.3.3), also where time ran out over a 4.x.x."""
    return f"5{code[1:]}"


def _mta(server: str) -> str:
    return re.sub(r"[^A-Za-z0-9.:\[\]-]", "?", re.sub(r":[0-9]+\Z", "", server))


def _folded(text: str) -> str:
    """A server's words in lines: what it said may be long."""
    import textwrap

    return "\r\n      ".join(textwrap.wrap(text, _WIDTH)) or "(no reason was told)"


def _encoded(text: str) -> str:
    if text.isascii() and len(text) < _WIDTH * 4:
        return text
    from email.header import Header

    return Header(text, "utf-8", maxlinelen=70, header_name="Subject").encode(linesep="\r\n")


def _date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC))
