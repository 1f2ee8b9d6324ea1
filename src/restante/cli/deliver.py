"""`restante deliver`: the message on stdin into an account, for an existing MTA's pipe.

Exit statuses are those of sysexits.h, since an MTA decides by them whether to keep the message: nothing but a
clear refusal may make it bounce.
"""

from __future__ import annotations

import socket
import sys
import traceback
from typing import TYPE_CHECKING

import click

from ..errors import Refusal
from .common import cell, complain, heeding_interrupts, run, with_place
from .statuses import Exit

if TYPE_CHECKING:
    from ..delivery.interface import DeliveryRefusal

NO_SUCH_USER = ("5.1.1", "5.1.3")


@click.command()
@click.option("--to", "recipients", required=True, multiple=True, metavar="ADDRESS", help="May be given again.")
@click.option("--from", "sender", default="", metavar="ADDRESS", help="The envelope's sender, for Return-Path.")
@with_place
@click.pass_context
def command(ctx: click.Context, recipients: tuple[str, ...], sender: str) -> None:
    """Deliver the message on stdin to each ADDRESS, as LMTP would: aliases, plus-addressing, trace fields.

    \b
    Exit status:
      0   delivered to all
      67  no such recipient
      69  refused for good (quota, disabled)
      73  cannot be stored
      75  try again later
    """
    try:
        bare = tuple(each.removeprefix("<").removesuffix(">") for each in recipients)
        status = run(_work(bare, sender.removeprefix("<").removesuffix(">")))
    except Refusal as refusal:  # configuration, data folder, store: mended by an operator, so the MTA keeps the mail
        complain(refusal)
        status = Exit.TEMPORARY
    except Exception:  # noqa: BLE001 - the process's outer edge: left to Python its status would be 1, a bounce
        traceback.print_exc()
        status = Exit.TEMPORARY
    ctx.exit(status)


async def _work(recipients: tuple[str, ...], sender: str) -> Exit:
    from ..clock import SystemClock, system_random
    from ..delivery.deliver import StoreDelivery
    from ..server.logs import adopt_logs
    from .installation import installation

    async with installation() as here:
        config = here.config
        adopt_logs(config.log.level, config.log.format, SystemClock())
        with heeding_interrupts():
            data = sys.stdin.buffer.read(config.limits.message + 1)
        if len(data) > config.limits.message:
            click.echo(f"restante: the message is larger than {config.limits.message} octets.", err=True)
            return Exit.UNAVAILABLE
        delivery = StoreDelivery(here.engine, config.delivery, config.accounts, clock=SystemClock(), limits=here.limits)
        host = config.server.hostname or socket.gethostname()
        results = await delivery.deliver_local(sender, recipients, data, by=host, id=system_random(6).hex())
    worst = Exit.OK
    for recipient, result in zip(recipients, results, strict=True):
        if result is not None:
            worst = _worse(worst, _told(recipient, result))
    return worst


def _told(recipient: str, refusal: DeliveryRefusal) -> Exit:
    click.echo(f"restante: {cell(recipient)}: {refusal.reply} {refusal.enhanced} {refusal.text}", err=True)
    if refusal.temporary:
        return Exit.TEMPORARY
    return Exit.NO_USER if refusal.enhanced in NO_SUCH_USER else Exit.UNAVAILABLE


def _worse(one: Exit, other: Exit) -> Exit:
    """What the MTA must know first: a temporary failure, so that it keeps the message for those who miss it."""
    order = (Exit.OK, Exit.UNAVAILABLE, Exit.NO_USER, Exit.TEMPORARY)
    return max(one, other, key=order.index)
