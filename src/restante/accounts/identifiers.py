"""Who is meant in an access control list: what people write, and what is kept.

People write an account's address, "anyone" or "authenticated" (the same here: nobody is let in unnamed), each
perhaps behind "-" for negative rights. Kept is the account's id, which never changes or comes back: who gets the
address of somebody that has left does not get his rights.

Text is prepared by SASLprep, as RFC 4314 3 asks, but where it is somebody's address as it stands: SASLprep refuses some
addresses, and makes of others those of other people ("x²" is "x2" then). Must not know protocols.
"""

from __future__ import annotations

from ..errors import Refusal
from ..sasl.saslprep import BadString, saslprep
from ..store.directory import Account, Directory
from ..store.rights import EVERYONE, NEGATIVE
from .address import BadAddress, normalise_address

LONGEST = 1_000
"""Characters of an identifier; an address has fewer."""


class BadIdentifier(Refusal):
    """Text that can be nobody's name: RFC 4314 3 has it answered with BAD."""

    code = "BAD-IDENTIFIER"


class UnknownPerson(Refusal):
    """An address that no account here has."""

    code = "UNKNOWN-PERSON"


def prepared(text: str) -> str:
    """The identifier prepared by SASLprep. Raises BadIdentifier where that fails, or for none or too long a text."""
    if len(text) > LONGEST:
        raise BadIdentifier("The identifier is too long.")
    try:
        result = saslprep(text)
    except BadString as error:
        raise BadIdentifier("That identifier has a character that no name may have.") from error
    if not result.removeprefix(NEGATIVE):
        raise BadIdentifier("The identifier is empty.")
    return result


async def kept_form(directory: Directory, text: str) -> str:
    """The identifier as lists keep it. Raises BadIdentifier, UnknownPerson."""
    sign, name = _parted(text)
    account = await _account(directory, name)
    if account is None:
        sign, name = _parted(prepared(text))
        if name.lower() in EVERYONE:
            return sign + name.lower()
        account = await _account(directory, name)
    if account is None:
        raise UnknownPerson("There is no such account.", "Write an address of an account here, or anyone.")
    return sign + account.id


def _parted(text: str) -> tuple[str, str]:
    """The sign, if there is one, and who is named."""
    name = text.removeprefix(NEGATIVE)
    return text[: len(text) - len(name)], name


async def _account(directory: Directory, name: str) -> Account | None:
    try:
        return await directory.account(normalise_address(name).address)
    except BadAddress:
        return None


async def shown_form(directory: Directory, kept: str) -> str:
    """The identifier as people know it; an id that no account has any more as it is."""
    sign = NEGATIVE if kept.startswith(NEGATIVE) else ""
    name = kept.removeprefix(NEGATIVE)
    if name in EVERYONE:
        return kept
    account = await directory.account_by_id(name)
    return kept if account is None else sign + account.address


def is_everyone(kept: str) -> bool:
    """Whether the identifier means all people of the installation."""
    return kept.removeprefix(NEGATIVE) in EVERYONE
