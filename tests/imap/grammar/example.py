"""What an example of the grammar is, and sets written short."""

from __future__ import annotations

from dataclasses import dataclass

from restante.imap.grammar import commands as c
from restante.query import language as q


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    data: bytes
    command: c.Command
    utf8: bool = False


def seq(*ranges: tuple[int, int]) -> q.Sequence:
    return q.Sequence(ranges)


def uids(*ranges: tuple[int, int]) -> q.Sequence:
    return q.Sequence(ranges, True)
