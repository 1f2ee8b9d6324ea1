"""What a client was promised: for every message, the states it may be found in.

An operation under way adds the state it would bring; its acknowledgement takes away the state it left; a connection
that dies in between leaves both. (Acknowledgements reach their clients in any order: a message may be removed by one
before another has read that it was delivered.) After a crash `settle` checks what is there and starts again from it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

NOT_YET = "(not yet)"
GONE = "(gone)"


@dataclass
class Message:
    """One message by its token (in Message-ID and text): where it may be, and which keywords it may have."""

    token: str
    places: set[str] = field(default_factory=lambda: {NOT_YET})
    keywords: dict[str, set[bool]] = field(default_factory=dict)


class Ledger:
    """Promises about all messages of one account. Used by several client threads at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.messages: dict[str, Message] = {}

    def begin(self, tokens: list[str], place: str) -> None:
        """An operation that would bring these messages to `place` is about to be sent."""
        with self.lock:
            for token in tokens:
                self.messages.setdefault(token, Message(token)).places.add(place)

    def acknowledge(self, tokens: list[str], left: str) -> None:
        """The operation that took these messages away from `left` is acknowledged."""
        with self.lock:
            for token in tokens:
                self.messages[token].places.discard(left)

    def begin_keyword(self, tokens: list[str], keyword: str) -> None:
        with self.lock:
            for token in tokens:
                self.messages[token].keywords.setdefault(keyword, {False}).add(True)

    def acknowledge_keyword(self, tokens: list[str], keyword: str) -> None:
        with self.lock:
            for token in tokens:
                self.messages[token].keywords[keyword] = {True}

    def settle(self, found: dict[str, list[tuple[str, frozenset[str]]]]) -> list[str]:
        """Compare with what is there, token -> [(mailbox, keywords), ...]; the promises broken, as sentences."""
        broken = []
        for token in found.keys() - self.messages.keys():
            broken.append(f"{token} came from nowhere")
        for message in self.messages.values():
            places = found.get(message.token, [])
            if len(places) > 1:
                broken.append(f"{message.token} is there {len(places)} times: {places}")
            place = places[0][0] if places else GONE
            if place not in message.places and not (place == GONE and NOT_YET in message.places):
                broken.append(f"{message.token} is in {place}, promised {sorted(message.places)}")
            message.places = {place}
            if places:
                for keyword, allowed in message.keywords.items():
                    has = keyword in places[0][1]
                    if has not in allowed:
                        broken.append(f"{message.token}: {keyword} is {has}, promised {allowed}")
                    message.keywords[keyword] = {has}
        self.messages = {t: m for t, m in self.messages.items() if m.places != {GONE}}
        return broken
