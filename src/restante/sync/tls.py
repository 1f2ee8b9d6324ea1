"""Whom a client believes: the system's authorities, or those of one PEM file alone."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from ..errors import Refusal


def client_context(trusted: Path | str | None, refused: Callable[[str], Refusal]) -> ssl.SSLContext:
    """TLS 1.2 and up, the server's name and certificate checked. trusted: a PEM file instead of the system's.

    Raises what `refused` makes of a sentence where the file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=trusted)
    except OSError as error:
        raise refused(f"{trusted} cannot be read as certificates to trust.") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
