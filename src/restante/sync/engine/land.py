"""What a run that was cut off may still have under way: a command that a server got whole is done by it all the same.

No answer tells when that is over, since the connection is gone; the next run could list a mailbox, find the message
missing, and send it again an instant before the server has filed it. So a run that begins right behind one that was
cut off while it added messages waits until they have either landed or never will.
"""

from __future__ import annotations

import asyncio

from .context import Context

GRACE = 10.0
"""Seconds that a server may take to finish what it has got, counted from the last note in the journal."""


async def let_land(context: Context) -> None:
    """Wait, if messages were on their way less than GRACE seconds ago. Costs one look at an index."""
    since, now = context.state.written, context.clock.now()
    if since is None or not 0 <= now - since < GRACE or not context.state.is_carrying():
        return
    await asyncio.sleep(since + GRACE - now)
