"""What an address is, and the one form in which this installation keeps it.

Owns: the syntax of RFC 5321 4.1.2 (Mailbox) with the characters of RFC 6531 3.3, within the bounds of RFC 5321
4.5.3.1, and the form of domains: A-labels in lower case (RFC 5890 2.3.2.1), so that "Bücher.example" and
"xn--bcher-kva.example" are one domain. The local part stays as given (a quoted one loses needless quotes); it
is compared without regard to case by `store.directory.fold_address`. Must not know: which addresses exist.

Unicode labels are lower-cased and normalised as RFC 5895 2 maps them, then held to letters, marks, digits and
hyphens of RFC 5891 4.2; the contextual and bidirectional rules of RFC 5892 and 5893 are left to registries.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from ..errors import Refusal


class BadAddress(Refusal):
    """An address or domain that breaks the syntax. The text names what is wrong, not the address itself."""

    code = "BAD-ADDRESS"


class Address(NamedTuple):
    """address: local part (quoted where it must be), "@", domain. local: its meaning, without quotes."""

    address: str
    local: str
    domain: str


MOST_LOCAL = 64
MOST_DOMAIN = 255
MOST_ADDRESS = 320
"""Octets, RFC 5321 4.5.3.1. What an RFC 5321 path allows is less (256) but the parts rule where we keep them."""

_ATOM = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+)*"
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ASCII_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
_ACE = "xn--"


@lru_cache(maxsize=1024)
def normalise_address(text: str) -> Address:
    """The address `text` names. Raises BadAddress: syntax, bounds, control characters, an address literal."""
    if len(text) > MOST_ADDRESS or len(text.encode("utf-8", "surrogatepass")) > MOST_ADDRESS:
        raise BadAddress("The address is too long.")
    local_text, at, domain_text = text.rpartition("@")
    if not at or not local_text or not domain_text:
        raise BadAddress("The address is not complete.", "Write it as name@domain.")
    local = _local(local_text)
    domain = normalise_domain(domain_text)
    shown = local if _ATOM.fullmatch(local) else '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return Address(f"{shown}@{domain}", local, domain)


def kept_form(text: str) -> str:
    """The address that `text` names, as it is kept; what is none (an account's id, "postmaster") as it is."""
    try:
        return normalise_address(text).address
    except BadAddress:
        return text


def _local(text: str) -> str:
    """The meaning of a local part: a dot-string as it is, a quoted string without its quotes."""
    if text.startswith('"'):
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            raise BadAddress("The quotes in the address do not match.")
        text = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
    elif not _ATOM.fullmatch(text) or any(unicodedata.category(c) == "Zs" for c in text):
        raise BadAddress("The part before the @ has a character that needs quotes, or a dot too many.")
    if not text:
        raise BadAddress("The part before the @ is empty.")
    if any(unicodedata.category(c) in _REFUSED and c not in _JOINERS for c in text):
        raise BadAddress("The part before the @ has a control character.")
    if len(text.encode("utf-8")) > MOST_LOCAL:
        raise BadAddress(f"The part before the @ is longer than {MOST_LOCAL} octets.")
    return text


def normalise_domain(text: str) -> str:
    """The domain in A-labels and lower case; one trailing dot is dropped. Raises BadAddress."""
    if len(text) > MOST_DOMAIN:
        raise BadAddress("The domain is too long.")
    if text.startswith("["):
        raise BadAddress("An address literal is no domain of mail accounts.", "Use a domain name.")
    # RFC 5895 2.3: the ideographic full stop is a dot too.
    labels = text.replace("\u3002", ".").removesuffix(".").split(".")
    domain = ".".join(map(_label, labels))
    if len(domain) > MOST_DOMAIN - 2:  # 255 octets on the wire count a length octet a label and the root
        raise BadAddress("The domain is too long.")
    if labels[-1].isdigit():
        raise BadAddress("The domain ends in a number.", "Use a domain name, not an IP address.")
    return domain


def _label(text: str) -> str:
    """One label as an A-label or lower-case ASCII label."""
    if text.isascii():
        label = text.lower()
        if not _ASCII_LABEL.fullmatch(label):
            raise BadAddress("The domain has an empty label or a character that no domain may have.")
        if label.startswith(_ACE):
            return _checked_ace(label)
        return label
    unicode_label = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    if unicode_label.isascii():
        return _label(unicode_label)
    _check_unicode_label(unicode_label)
    label = _ACE + unicode_label.encode("punycode").decode("ascii")
    if len(label) > 63:
        raise BadAddress("The domain has a label longer than 63 octets.")
    return label


def _checked_ace(label: str) -> str:
    """An A-label that stands for what it says: it decodes, and encodes back to itself (RFC 5891 5.4)."""
    try:
        unicode_label = label.removeprefix(_ACE).encode("ascii").decode("punycode")
        _check_unicode_label(unicode_label)
        same = not unicode_label.isascii() and _label(unicode_label) == label
    except (UnicodeError, ValueError, OverflowError):
        same = False
    if not same:
        raise BadAddress("The domain has an xn-- label that is not valid.")
    return label


def _check_unicode_label(label: str) -> None:
    """RFC 5891 4.2.3: letters, marks, digits, hyphens; no mark at the start, no hyphen at an end or at 3 and 4."""
    categories = [unicodedata.category(c) for c in label]
    good = all(
        category[0] in "LM" or category == "Nd" or char in "-·・" + _JOINERS
        for char, category in zip(label, categories, strict=True)
    )
    if not label or not good or categories[0][0] == "M" or "-" in (label[0], label[-1]) or label[2:4] == "--":
        raise BadAddress("The domain has a character that no domain may have.")
