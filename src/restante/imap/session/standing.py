"""Who is logged in and what is selected: the part of a session that commands change.

    greeting -> NOT_AUTHENTICATED -> AUTHENTICATED <-> SELECTED -> LOGOUT
                        ^---- UNAUTHENTICATE ----+----------+

What belongs to an account or to what its client has switched on begins and ends here: a watch on the account notes that
something changed, and ends a wait that asked for it. Must not know: how octets come, nor what any one command does.
RFC 9051 3; RFC 7162 3.1; RFC 8437.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from ...accounts.address import kept_form
from ...accounts.login import Admitted, Authenticator, Peer
from ...config.model import ImapTable, LimitsTable
from ...connection import Connection
from ...store.directory import Account, fold_address
from ...store.interface import Engine, Store, Watch
from ...store.model import FlagTable
from ..commands import limit
from ..grammar.reader import CommandReader
from . import capabilities
from .state import AS_EVER, Dialect, State, Told
from .talk import Talk
from .view import View

if TYPE_CHECKING:
    from ..commands.watching import Notifications
    from .places import Place


class Standing(Talk):
    """Where a session stands. reader: told when the dialect or the state changes how it reads."""

    __slots__ = (
        "account",
        "authenticator",
        "config",
        "dirty",
        "engine",
        "flag_table",
        "limits",
        "login_by",
        "notifications",
        "own_store_or_none",
        "place",
        "reader",
        "refused_for",
        "state",
        "told",
        "view_or_none",
        "waiting",
        "watch",
        "without_login",
    )

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        authenticator: Authenticator,
        config: ImapTable,
        limits: LimitsTable,
        reader: CommandReader,
    ) -> None:
        super().__init__(connection)
        self.engine = engine
        self.authenticator = authenticator
        self.config = config
        self.limits = limits
        self.reader = reader
        self.state = State.NOT_AUTHENTICATED
        self.account: Account | None = None
        self.own_store_or_none: Store | None = None
        self.place: Place | None = None
        """Where the selected mailbox is; None where none is selected."""
        self.view_or_none: View | None = None
        self.flag_table: FlagTable | None = None
        self.watch: Watch | None = None
        self.dirty = False
        """The account changed since the view was last brought up to date (a hint)."""
        self.told: Told = AS_EVER
        """What of the selected mailbox the client wants to hear."""
        self.notifications: Notifications | None = None
        """What it wants to hear of everything else: nothing, unless NOTIFY or ENABLE METADATA has asked."""
        self.without_login = 0
        """Commands since the connection, or UNAUTHENTICATE, that were no login."""
        self.refused_for: tuple[str, ...] = ()
        """Why logins were refused, as far as the log has that already."""
        self.login_by: float | None = None
        """Monotonic seconds until which the next command must be whole, where nobody has logged in."""
        self.waiting: asyncio.Timeout | None = None
        """The wait that `wake` ends, if there is one."""

    @property
    def peer(self) -> Peer:
        """The peer as the accounts room wants to know it."""
        c = self.connection
        return Peer("imap", c.peer, c.loopback, c.secure, c.channel_binding())

    @property
    def own_store(self) -> Store:
        """The store of the account that has logged in. Names go through `places`; the selected mailbox, which may
        be somebody else's, is in `selected_store`."""
        if self.own_store_or_none is None:
            raise RuntimeError("no account before login")
        return self.own_store_or_none

    @property
    def selected_store(self) -> Store:
        """The store that the selected mailbox is in; only in the selected state."""
        if self.place is None:
            raise RuntimeError("no store without a selected mailbox")
        return self.place.store

    @property
    def view(self) -> View:
        """The view of the selected mailbox; only in the selected state."""
        if self.view_or_none is None:
            raise RuntimeError("no view without a selected mailbox")
        return self.view_or_none

    def capability_list(self) -> bytes:
        """What CAPABILITY answers now."""
        if self.state is not State.NOT_AUTHENTICATED:
            config = self.config
            configured = limit.capability(config)
            if self.sets_quota:
                configured += (b"QUOTASET",)  # RFC 9208 1
            return capabilities.after_login(
                config.literal_plus, self.limits.message, turned_off(config.compress, config.unauthenticate), configured
            )
        peer = self.peer
        return capabilities.before_login(
            self.config.literal_plus,
            self.connection.tls_available,
            self.authenticator.plain_allowed(peer),
            self.authenticator.mechanisms(peer),
        )

    @property
    def sets_quota(self) -> bool:
        """Whether this account may change quotas, as configured."""
        admins = self.config.quota_admins
        if not admins or self.account is None:
            return False
        return fold_address(self.account.address) in [fold_address(kept_form(each)) for each in admins]

    def logged_in(self, admitted: Admitted) -> None:
        """Enter the authenticated state. Raises Refusal where the account has too many connections."""
        account = admitted.account
        self.connection.set_account(account.address, account.id, admitted.opener)
        self.account = account
        self.own_store_or_none = self.engine.account(account.id, session=f"imap {self.connection.id}")
        self.state = State.AUTHENTICATED
        self.login_by = None
        self.reader.authenticated = True

    def forget_user(self) -> None:
        """Back to the state of a new connection, TLS and octets that came already excepted (RFC 8437 3, 4.1).

        Nothing that belongs to the account or to what its client has switched on may outlive this: whatever a
        session keeps besides is to be let go here.
        """
        self.close_watch()
        self.notify(None, AS_EVER)
        self.view_or_none = None
        self.connection.clear_account()
        self.account = None
        self.own_store_or_none = None
        self.place = None
        self.flag_table = None
        self.dirty = False
        self.dialect = Dialect()
        self.reader.utf8 = False
        self.reader.authenticated = False
        self.state = State.NOT_AUTHENTICATED
        self.without_login = 0

    async def flags(self) -> FlagTable:
        """Interned flag sets of the account that the selected mailbox is in."""
        if self.flag_table is None:
            self.flag_table = await self.selected_store.flag_table()
        return self.flag_table

    def enable_condstore(self) -> None:
        """A CONDSTORE-enabling command was seen; the first, with a mailbox selected, is told where things
        stand (RFC 7162 3.1)."""
        if not self.dialect.condstore:
            self.dialect.condstore = True
            if self.view_or_none is not None:
                told = self.view_or_none.told_modseq
                self.say(b"Mod-sequences are told from here on.", b"HIGHESTMODSEQ %d" % told)

    def selected(self, view: View, place: Place) -> None:
        """Enter the selected state."""
        self.view_or_none = view
        self.place = place
        if not place.own:
            self.flag_table = None
        self.state = State.SELECTED
        if self.notifications is not None:
            self.notifications.note_own_here()

    def listen(self, place: Place, known: int) -> None:
        """Hear of changes of the account that a mailbox is in, from now on. known: its number, as just read."""
        if self.watch is not None and (place.past is not None or self.watch.account != place.store.account):
            self.close_watch()
        if self.watch is None and place.past is None:
            self.watch = self.engine.watch(place.store.account, self._on_change, known)

    def listens_to(self, place: Place) -> bool:
        """Whether changes of the account that a mailbox is in are heard already."""
        return place.past is None and self.watch is not None and self.watch.account == place.store.account

    def unselected(self, *, listening: bool = False) -> None:
        """Back to the authenticated state; all that was known of the mailbox is let go.

        listening: but not the watch, since another mailbox is selected, in the same account as a rule; nor what is
        known of the own account's flag sets.
        """
        if not listening or self.place is None or not self.place.own:
            self.flag_table = None
        if self.notifications is not None and self.view_or_none is not None and self.place is not None:
            self.notifications.left(self.place, self.view_or_none)
        self.view_or_none = None
        self.dirty = False
        self.place = None
        if not listening:
            self.close_watch()
        self.state = State.AUTHENTICATED

    def note_filed(self, place: Place, mailbox: int, uids: Iterable[int]) -> None:
        """This session has filed messages itself: of those in its selected mailbox no items are sent where a search
        with UPDATE asks for some (RFC 5465 5.2, 7). mailbox: the key at `place`."""
        here, view = self.place, self.view_or_none
        if here is None or view is None or not view.contexts:
            return
        if (here.store.account, view.mailbox.key) == (place.store.account, mailbox):
            view.filed.update(uids)

    def notify(self, notifications: Notifications | None, told: Told) -> None:
        """What the client is told from here on; None and AS_EVER: as without NOTIFY."""
        before, self.notifications, self.told = self.notifications, notifications, told
        if before is not None and before is not notifications:
            before.close()
        if notifications is not None:
            notifications.note_own_here()
        elif self.place is not None and not self.place.own:
            self.place.store.own = None

    def close_watch(self) -> None:
        """Stop listening to the account's changes."""
        if self.watch is not None:
            self.watch.close()
            self.watch = None

    def _on_change(self, modseq: int) -> None:
        """A change of the account was committed somewhere: note it, and end a wait that asked for it."""
        if self.view_or_none is not None and modseq <= self.view_or_none.mailbox.highest_modseq:
            return  # our own, as a rule: the view has it already
        self.dirty = True
        self.wake()

    def wake(self) -> None:
        """End a wait that asked for changes: there may be something to tell."""
        if self.waiting is not None and not self.waiting.expired():
            self.waiting.reschedule(asyncio.get_running_loop().time())


@lru_cache(maxsize=4)
def turned_off(compress: bool, unauthenticate: bool) -> frozenset[bytes]:
    """The capabilities that the configuration does not let be announced."""
    on = {capabilities.COMPRESS: compress, capabilities.UNAUTHENTICATE: unauthenticate}
    return frozenset(name for name, announced in on.items() if not announced)
