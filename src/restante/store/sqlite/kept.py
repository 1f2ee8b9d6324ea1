"""What a process keeps of accounts to answer faster, all in one place, and when it lets go of it.

Owns: the caches that follow an account's numbers (`changes`, `maildrop`) and what its sessions share. Each is bounded
by itself and right by itself; here is only how long it is worth its room. What is small is read again as fast as its
account's file is opened, so it goes when that file is closed: ten thousand accounts that sleep leave no more behind
than a hundred. What is large stays for another `LARGE_IDLE`.
Must not know: files. For the event loop's thread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from weakref import WeakValueDictionary

from .changes import Deltas, FlagArrays, Lists
from .made import Made
from .maildrop import Maildrops
from .matches import Matches
from .openings import FirstUnseen, Openings
from .orders import Orders
from .sessions import Shared
from .trees import Trees

RECENT = 1_000
"""Accounts whose shared values (flag table, quota) outlive their last session, so that deliveries find them."""

SMALL = 1_000
"""Messages up to which a mailbox's list, or a maildrop, is not worth keeping while its account sleeps: reading them
again takes a millisecond or two."""

LARGE_IDLE = 600.0
"""Seconds after its file was closed for which larger ones are kept: applications look every few minutes."""


class Kept:
    """The caches of one engine."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.lists = Lists()
        self.flags = FlagArrays(self.lists)
        self.maildrops = Maildrops()
        self.deltas = Deltas(self.lists)
        self.unseen = FirstUnseen()
        self.openings = Openings(self.lists, self.unseen)
        self.matches = Matches(self.lists, self.flags)
        self.orders = Orders()
        self.trees = Trees()
        self.made = Made(monotonic)
        self._shared: WeakValueDictionary[str, Shared] = WeakValueDictionary()
        self._recent: OrderedDict[str, Shared] = OrderedDict()
        self._large: dict[str, float] = {}  # account -> when it went to sleep, the first to do so first

    def shared(self, account: str) -> Shared:
        """What the account's sessions share, for one more."""
        shared = self._shared.get(account)
        if shared is None:
            shared = self._shared[account] = Shared()
        self._recent[account] = shared
        self._recent.move_to_end(account)
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        return shared

    @property
    def large(self) -> int:
        """Accounts that sleep and of which something is kept that took long to read."""
        return len(self._large)

    def forget_mail(self, accounts: AbstractSet[str]) -> None:
        """Let go of all that was read of these accounts' mail. Cost: a pass over the caches."""
        numbers = (self.lists, self.flags, self.maildrops, self.unseen, self.openings, self.matches, self.orders)
        for cache in (*numbers, self.trees, self.made):
            cache.forget(accounts)

    def forget_mailbox(self, account: str, key: int) -> None:
        """Let go of what is kept of a mailbox that has been deleted. What is bounded in octets is left to its age."""
        for cache in (self.lists, self.flags, self.unseen, self.openings):
            cache.drop((account, key))

    def forget(self, accounts: AbstractSet[str]) -> None:
        """Let go of all that is kept of accounts that have been removed, or sleep. Sessions keep what they hold."""
        self.forget_mail(accounts)
        self.deltas.forget(accounts)
        for account in accounts:
            self._recent.pop(account, None)
            self._large.pop(account, None)

    def sleep(self, accounts: AbstractSet[str], now: float) -> bool:
        """Note that these accounts' files have been closed; whether this has to be called again. now: monotonic."""
        gone = [who for who, since in self._large.items() if since <= now - LARGE_IDLE and who not in accounts]
        if gone:
            self.forget(set(gone))
        if accounts:
            large = self.lists.forget(accounts, SMALL) | self.maildrops.forget(accounts, SMALL)
            self.flags.forget(accounts - large)
            self.unseen.forget(accounts - large)
            self.openings.forget(accounts)
            self.matches.forget(accounts - large)
            self.orders.forget(accounts - large)
            self.trees.forget(accounts - large)
            self.made.forget(accounts - large)
            self.deltas.forget(accounts)
            for account in accounts:
                self._recent.pop(account, None)
                self._large.pop(account, None)
            self._large.update(dict.fromkeys(large, now))
        return bool(self._large)
