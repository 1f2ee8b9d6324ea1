"""Value types of rooms that a short-lived process loads: `restante sync` above all, which comes each minute.

A frozen dataclass with slots takes half a millisecond to be made when its module is loaded: its methods are compiled
there each time, and the seventy of a run of `restante sync` were a quarter of its start. msgspec makes the same in C,
in a fiftieth of that, and their instances faster, too. To be used as dataclasses are: positional and named arguments,
defaults, `field(default_factory=...)`, equality, hash (of those that are frozen); `dataclasses.replace` knows them,
and `replace` of here is faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from msgspec import field
from msgspec.structs import replace

if TYPE_CHECKING:
    from dataclasses import Field

__all__ = ["Record", "Value", "field", "replace"]


class _Fields:
    """What the library of dataclasses asks of a class, made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[type, dict[str, Field[Any]]] = {}

    def __get__(self, instance: object, owner: type[msgspec.Struct]) -> dict[str, Field[Any]]:
        found = self._made.get(owner)
        if found is None:
            from dataclasses import fields, make_dataclass

            like = make_dataclass(owner.__name__, owner.__struct_fields__)
            found = self._made[owner] = {each.name: each for each in fields(like)}
        return found


class Value(msgspec.Struct, frozen=True):
    """Base of what is never changed."""

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    else:
        __dataclass_fields__ = _Fields()


class Record(msgspec.Struct):
    """Base of what is filled in while it is used."""

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    else:
        __dataclass_fields__ = _Fields()
