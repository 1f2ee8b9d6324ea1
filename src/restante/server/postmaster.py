"""A message from the server to whoever looks after it: filed as any other, through the delivery room."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from ..clock import Clock, Random
from ..config.limits import mime_limits
from ..config.model import Config
from ..delivery import StoreDelivery
from ..store.interface import Engine
from .logs import Logger

POSTMASTER = "postmaster"
"""Without a domain: whoever has it in the first of our domains in which somebody does (RFC 5321 4.5.1)."""


async def tell_postmaster(
    engine: Engine, config: Config, clock: Clock, random: Random, log: Logger, subject: str, text: str
) -> bool:
    """File a message for the postmaster; whether somebody has it. Where nobody is postmaster, or delivery is refused,
    the log has it."""
    host = config.server.hostname or socket.gethostname()
    message = EmailMessage(policy=SMTP)
    message["From"] = Address("Restante", POSTMASTER, host)
    message["To"] = Address("", POSTMASTER, host)
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.fromtimestamp(int(clock.now()), UTC))
    message["Message-ID"] = f"<{random(16).hex()}@{host}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 5: no vacation reply comes back
    message.set_content(text)
    delivery = StoreDelivery(engine, config.delivery, config.accounts, clock=clock, limits=mime_limits(config.limits))
    (refusal,) = await delivery.deliver_local("", [POSTMASTER], message.as_bytes(), by=host, id=random(6).hex())
    if refusal is not None:
        log.warning("the postmaster could not be told", subject=subject, reason=refusal.text)
    return refusal is None
