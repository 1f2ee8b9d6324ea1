"""LANGUAGE: in which language texts for people are. RFC 5255 3.2 to 3.4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..grammar.commands import Language
from ..grammar.response import language_response
from ..session.state import Answer, Reply, State
from ..texts.language import LANGUAGES, choose
from . import list as list_family

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def language(session: ImapSession, command: Language) -> Reply:
    """Choose a language, from the LANGUAGE response on; without ranges say which there are."""
    if not command.ranges:
        session.write(language_response(LANGUAGES))
        return Reply(b"LANGUAGE completed.")
    tag = choose(command.ranges, session.config.language)
    if tag is None:
        return Reply(b"There is no such language here.", answer=Answer.NO)
    session.write(language_response([tag]))
    session.dialect.texts = LANGUAGES[tag]
    if session.state & State.LOGGED_IN:
        list_family.tell_translations(session)
    return Reply(b"LANGUAGE completed.")
