"""What an engine must do. Two things stand behind it today or later: SQLite files, PostgreSQL.

Rules for every engine (the conformance suite in tests/engines checks them):

- When a changing method returns, its change is durable (fsync) with every row that belongs to it: counters,
  change number, log, history. When it raises, nothing of it happened.
- Each call is one command and takes one change number, also where the engine groups commits.
- Watchers hear of a change after its commit, in every process that serves the same data.
- A method may be cancelled: then its change has happened wholly or not at all.
- Reads of many rows are asked for in batches by the caller; no cursor lives across an await.
- Errors are of `store.errors`; anything else is a fault.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # what signatures name: who only opens a store need not wait for all of it
    from array import array
    from contextlib import AbstractAsyncContextManager

    from ..mime.model import Limits
    from ..query.language import Query
    from ..query.order import Criterion
    from ..query.threads import Algorithm, Threads
    from .backup import AnswerRow, Head, Instant, Mark, Rebuilding
    from .changes import AccountChanges
    from .directory import Directory
    from .model import (
        AccountStats,
        Adoption,
        Appended,
        Blob,
        Column,
        Copied,
        Delta,
        DropList,
        Finding,
        Flagged,
        FlagMode,
        Flags,
        FlagTable,
        Mailbox,
        NewMessage,
        Opening,
        Pop3Delete,
        Provenance,
        ReadyMessage,
        Recoverable,
        Removed,
        Row,
        Scored,
        Snapshot,
        UidRanges,
    )
    from .quota import QuotaState
    from .rewind import RewindNote, Rewound
    from .rewind import Snapshot as Snapshot_
    from .rights import AclEntry, Rights

OnChange = Callable[[int], None]
"""Called on the event loop with the account's newest change number. Must not block or raise."""
ComeTo = Callable[[int], None]
"""Called on the event loop with the UID that a search has come to. Must not block or raise."""


class Watch(Protocol):
    """A standing interest in one account's changes."""

    account: str

    def close(self) -> None: ...


class Preparing(Protocol):
    """Does for many messages what `put` and `mime.analyse` do for one. It can be pickled, and given to another process.

    What comes of a message is its blob and what is kept beside it, for `ReadyMessage`.
    """

    def make(self, messages: Iterable[bytes]) -> bytes:
        """All that can be made of these messages' octets: for `read`, in the process that files them."""
        ...

    def read(self, made: bytes, messages: Sequence[bytes]) -> list[tuple[Blob, object]]:
        """What `make` has made of these messages. An engine may hold the octets of large ones until the append."""
        ...

    def here(self, messages: Sequence[bytes]) -> list[tuple[Blob, object]]:
        """Both, in this process."""
        ...


class Shelf(Protocol):
    """What a process keeps of what was made of certain messages' answers (ENVELOPE, chosen header fields), by column:
    an element a message, in the order of their UIDs. Elements are never changed."""

    def find(self, name: bytes) -> tuple[Sequence[object], ...] | None:
        """What was kept under this name, if it still is."""
        ...

    def keep(self, name: bytes, columns: tuple[Sequence[object], ...], octets: int) -> None:
        """Keep columns for a while, where they have been made before. octets: what their elements have together, which
        bounds it."""
        ...


class Store(Protocol):
    """One account, seen by one acting user. Cheap to make, holds no handle while idle.

    Somebody who is not the owner sees mailboxes and does things as the access control lists say (RFC 4314), looked
    up in each call's own transaction: NoSuchMailbox where he may not know of a mailbox, NoPermission where he may.
    \\Seen is his own. What no right covers (POP3, undelete, doctor ...) is refused by NoPermission.
    """

    account: str
    """The account's id in the directory."""
    own: set[int] | None
    """None, or a set to which the change numbers of this store's commands are added as they are answered."""

    # What is there ---------------------------------------------------------------------------------

    async def mailboxes(self) -> list[Mailbox]:
        """All mailboxes, INBOX first, then by name."""
        ...

    async def mailbox(self, name: str) -> Mailbox | None:
        """The mailbox of this NFC name (INBOX in any case)."""
        ...

    async def subscriptions(self) -> list[str]:
        """Subscribed names, also of mailboxes that are gone (RFC 9051 6.3.9.4), sorted."""
        ...

    async def names(self) -> tuple[list[Mailbox], list[str]]:
        """`mailboxes` and `subscriptions` at one instant: whether what is subscribed to is there."""
        ...

    async def snapshot(self, mailbox: int) -> Snapshot:
        """The mailbox and all its UIDs at one instant; the UidList is shared while nothing changes.

        Raises NoSuchMailbox if it has been deleted.
        """
        ...

    async def opening(self, mailbox: int, read: Mailbox | None = None) -> Opening:
        """`snapshot` and `keywords` of the mailbox, and its first unseen message: what SELECT asks.

        read: the mailbox as it has just been read by somebody who watches the account: it need not be read again where
        it is as it was when it was last opened. Raises NoSuchMailbox.
        """
        ...

    async def flag_table(self) -> FlagTable:
        """The account's interned flag sets; the same object for all sessions of a process."""
        ...

    async def keywords(self, mailbox: int | None = None) -> list[str]:
        """Keywords of the account, sorted: for the FLAGS response. Cost does not grow with messages.

        mailbox: needed by who is not the owner, and told those of its messages alone, by a pass over it.
        """
        ...

    async def rows(
        self, mailbox: int, ranges: UidRanges, columns: Sequence[Column], limit: int, *, removed: bool = False
    ) -> list[Row]:
        """Up to `limit` rows of placements whose UID lies in `ranges`, ascending by UID.

        removed: take them from what has been removed and is still kept, instead (a session that was not told
        yet may still read it, RFC 2180 4.1). Go on with the ranges after the last UID got.
        """
        ...

    async def flag_columns(self, mailbox: int, ranges: UidRanges, limit: int) -> tuple[array[int], array[int]] | None:
        """`rows` with flags alone, as two columns (UIDs, flag set numbers): no object is made for a message.

        None where an engine has them no quicker so; ask `rows` then.
        """
        ...

    def shelf(self, mailbox: int, first: int, uids: array[int]) -> Shelf | None:
        """Where columns made of the answers of just these placements are kept for whoever wants the same; None where an
        engine keeps none. first: where in the mailbox they begin, of which one listing is kept. To be asked for before
        the answers are read."""
        ...

    async def delta(self, mailbox: int, since: int) -> Delta:
        """What changed after `since`. Cost grows with the answer. Raises NoSuchMailbox."""
        ...

    async def search(
        self, mailbox: int, query: Query, within: UidRanges, *, come_to: ComeTo | None = None
    ) -> array[int]:
        """UIDs of `within` that match, ascending. No Sequence or Recent node may be left in `query`.

        Never change the array: where nothing has changed, others are given the same one. The engine yields to the event
        loop while it scans, and says to `come_to`, before it does, how far it is.
        """
        ...

    async def fill_search(self) -> int:
        """Make what search keeps of some messages that came lately, texts first and then their index; how many were
        worked on. Repeats until 0.

        Nothing waits for it: a search reads what is not made yet. Written behind: not durable at once.
        """
        ...

    async def scored(self, mailbox: int, query: Query, within: UidRanges, *, come_to: ComeTo | None = None) -> Scored:
        """As `search`, with each message's relevancy to the Fuzzy nodes of `query` (RFC 6203 4)."""
        ...

    async def sort(
        self,
        mailbox: int,
        query: Query,
        keys: Sequence[Criterion],
        within: UidRanges,
        *,
        come_to: ComeTo | None = None,
    ) -> array[int]:
        """UIDs of `within` that match, in the order of `keys`, then ascending (RFC 5256 3). As `search` otherwise.

        Answered from stored keys: no message is read. 100,000 messages in about 0.2 s, off the event loop; of all
        messages, or of those with certain flags, asked again, only those that came or went since are looked at.
        """
        ...

    async def thread(
        self,
        mailbox: int,
        query: Query,
        algorithm: Algorithm,
        within: UidRanges,
        *,
        come_to: ComeTo | None = None,
    ) -> Threads:
        """Trees of the messages of `within` that match (RFC 5256 3). As `search` otherwise.

        From stored ids and references. 100,000 messages in about 0.3 s, off the event loop.
        """
        ...

    async def read_content(self, content: int, offset: int = 0, count: int | None = None) -> bytes:
        """Stored octets offset..offset+count of one message (all from offset when count is None).

        Reads only the chunks it needs. Kept readable for at least an hour after the message's removal.
        """
        ...

    async def read_contents(self, contents: Sequence[int]) -> list[bytes]:
        """Whole octets of several messages, in the order asked. The caller bounds their sum (sizes are in rows)."""
        ...

    def stream_content(self, content: int) -> AsyncIterator[bytes]:
        """Stored octets of one message, chunk by chunk (at most 256 KiB each)."""
        ...

    async def last_change(self) -> int:
        """The account's change counter: the last number given out. Raises NoPermission for who has no right there."""
        ...

    async def changes(self, since: int, own: Collection[int] = ()) -> AccountChanges:
        """What changed in the account after `since`, for a watcher of many mailboxes.

        own: numbers of the asker's commands, which are left out. Cost: one pass over the account's mailboxes (not
        their messages), and the answer; some index probes for each number of `own` and mailbox that changed.
        Events older than the retention are forgotten: ask within it. Who is not the owner is told of mailboxes that he
        may list (his own \\Seen among what changed there), and of annotations alone: names he compares.
        """
        ...

    async def annotation_names(self, mailbox: int) -> list[tuple[str, int]]:
        """(entry, octets of its value) of the mailbox's (ACCOUNT: the account's) annotations that the acting user
        sees, by name. A mailbox's role stands among them as SPECIAL_USE."""
        ...

    async def annotations(self, mailboxes: Sequence[int], entries: Sequence[str]) -> dict[int, dict[str, bytes]]:
        """Values of these entries on these mailboxes (ACCOUNT: the account); what has none is left out.

        Cost: one statement an entry. The caller bounds the sum of the values' sizes.
        """
        ...

    # Changing messages -----------------------------------------------------------------------------

    async def find_arrivals(self, digest: bytes, since: int) -> list[tuple[str, int]]:
        """(email id, content key) of emails whose arrival hash is `digest` and that came (INTERNALDATE) at or
        after `since`, removed ones included while they are kept, newest first, at most 100."""
        ...

    async def put(self, data: bytes | bytearray | memoryview, before: bytes = b"") -> Blob:
        """Take octets for a following `append`. Durable together with the append (an embedded engine), or at
        once; swept after a day if nothing refers to it.

        before: octets in front of `data`, which a large message need not be copied for. An engine may hold `data`
        itself until the append, where it is bytes."""
        ...

    def preparing(self, limits: Limits) -> Preparing:
        """What makes messages ready for `append_ready`, in any process. limits: bounds of their analysis."""
        ...

    async def append_ready(self, mailbox: int, messages: Sequence[ReadyMessage]) -> Appended:
        """As `append`, of what `preparing` has made: for who files many, and has other processes for the work."""
        ...

    async def append(self, mailbox: int, messages: Sequence[NewMessage]) -> Appended:
        """File messages, all or none, as one command. Raises NoSuchMailbox, OverQuota, TooManyKeywords, DiskFull."""
        ...

    async def append_by_name(self, name: str, messages: Sequence[NewMessage]) -> Appended:
        """`append` into the mailbox of this NFC name, found by the command itself: one step less for delivery."""
        ...

    async def append_once(self, name: str, message: NewMessage) -> Appended | None:
        """`append_by_name` of a message that brings an EMAILID along, unless `has_email` is true of it: then nothing
        happens, and None. The two are one command, so that of two calls at once, by whichever processes, one files."""
        ...

    async def has_email(self, email_id: str) -> bool:
        """Whether an email of this EMAILID is in a mailbox, or has been removed and is still kept. One indexed read."""
        ...

    async def replace(self, mailbox: int, uid: int, target: int, message: NewMessage) -> Appended:
        """File `message` in `target` and remove the placement `uid` of `mailbox`, as one command (RFC 8508).

        Neither inherits anything of the other; what is removed stays recoverable. Against the quota counts what the
        new one is larger. Raises NoSuchMessage where the placement is gone, and as `append`.
        """
        ...

    async def room_for(self, size: int) -> None:
        """Raises OverQuota or DiskFull where a message of `size` octets could not be filed now: worth asking before a
        large one is taken in, and no promise. size: what it adds; 0 or less where it replaces a larger one."""
        ...

    async def store_flags(
        self,
        mailbox: int,
        ranges: UidRanges,
        mode: FlagMode,
        flags: Flags,
        unchanged_since: int | None = None,
    ) -> Flagged:
        """Change flags of the placements named. Placements whose flags do not change keep their modseq.

        unchanged_since: leave alone, and name as refused, those of a higher modseq, where the flags take the place of
        others or one of those named is not what it was at that number; where that is not known, too (RFC 7162 3.1.12).
        """
        ...

    async def copy(self, mailbox: int, ranges: UidRanges, target: int, *, messages: int | None = None) -> Copied:
        """COPY: new placements of the same emails, flags copied, all or none (RFC 9051 6.4.7).

        messages: how many are named, where each of them must be there; None where those that are gone are left out.
        Raises NoSuchMessage; NoSuchMailbox for the target, SourceGone for `mailbox`.
        """
        ...

    async def move(self, mailbox: int, ranges: UidRanges, target: int, *, messages: int | None = None) -> Copied:
        """MOVE (RFC 6851): as copy and expunge of the same messages in one command."""
        ...

    async def expunge(self, mailbox: int, ranges: UidRanges | None, *, deleted_only: bool = True) -> Removed:
        """Remove placements (those with \\Deleted, unless deleted_only is False), keeping them recoverable."""
        ...

    async def claim_recent(self, mailbox: int) -> tuple[int, int]:
        """(low, high): UIDs low..high are recent in this session and in no other; low > high when none are.

        Written behind: not durable at once.
        """
        ...

    # Changing mailboxes ----------------------------------------------------------------------------

    async def create_mailbox(
        self, name: str, role: str | None = None, uidvalidity: int | None = None, *, above: bool = True
    ) -> Mailbox:
        """Create a mailbox, and (above) those above it that are missing: an import of an account where they had
        been deleted leaves them out. Raises MailboxExists, BadMailboxName, RoleTaken, OverQuota.

        uidvalidity: wished by an import into a new mailbox; taken only if no mailbox had it under that name.
        """
        ...

    async def adopt(self, mailbox: int, adoption: Adoption) -> Mailbox:
        """Let a mailbox that never held a message go on with an old server's UIDVALIDITY (import).

        Raises the account's counter too (and with it the mailbox's highest_modseq and its log floor) to at
        least its modseq, so that no number that the old server gave out means something else here. The MAILBOXID
        is taken where no mailbox of this account, present or gone, has it; that no other account has it is for
        the caller to see to (`Directory.claim_mailbox_id`). Raises CannotChangeMailbox where a message has been
        filed (UIDNEXT is past 1).
        """
        ...

    async def reserve_uids(self, mailbox: int, uidnext: int) -> None:
        """Raise the mailbox's UIDNEXT to at least `uidnext`: UIDs below it were given out by an old server."""
        ...

    async def delete_mailbox(self, mailbox: int, named: str | None = None) -> None:
        """Delete a mailbox with its annotations; its messages stay recoverable; children stay. named: the name under
        which it was found. Raises CannotChangeMailbox for INBOX, NoSuchMailbox where it has another name by now."""
        ...

    async def rename_mailbox(self, mailbox: int, name: str, named: str | None = None) -> None:
        """Rename with all children; annotations go along. INBOX: moves its messages into a new mailbox and copies
        its annotations there (RFC 9051 6.3.6, RFC 5464 4.1). named: as of `delete_mailbox`."""
        ...

    async def rename_level(self, level: str, name: str) -> None:
        """Rename the mailboxes below a name that is none itself (any more): \\Noselect, with inferior names (RFC 9051
        6.3.6). Raises NoSuchMailbox where there are none, or the name has a mailbox."""
        ...

    async def set_role(self, mailbox: int, role: str | None) -> None:
        """Give or take a special use. Raises RoleTaken."""
        ...

    async def annotate(self, mailbox: int, values: Mapping[str, bytes | None]) -> int:
        """Set (or, where None, take away) entries of a mailbox or, with ACCOUNT, of the account: all or none.

        The command's number, 0 where all was so already. The mailbox's highest_modseq rises. SPECIAL_USE gives the
        role. Raises NoSuchMailbox, AnnotationTooLarge, TooManyAnnotations, OverQuota, RoleTaken, CannotChangeMailbox
        (a name that cannot be).
        """
        ...

    async def subscribe(self, name: str, subscribed: bool) -> None:
        """Subscribe or unsubscribe a name, whether or not a mailbox has it."""
        ...

    # Sharing ---------------------------------------------------------------------------------------

    async def acl(self, mailbox: int) -> list[AclEntry]:
        """The mailbox's access control list, without the owner. Raises NoSuchMailbox."""
        ...

    async def set_acl(self, mailbox: int, identifier: str, mode: FlagMode, rights: Rights) -> None:
        """Change one entry of the list (as flags are changed: replaced, added, removed); one without rights goes.

        Holds for every session's next command. Raises NoSuchMailbox, TooMuchAtOnce.
        """
        ...

    async def forget_person(self, identifier: str) -> None:
        """Take an account that is being removed off every list of this one."""
        ...

    async def transfer(
        self,
        source: Store,
        mailbox: int,
        ranges: UidRanges,
        target: int,
        *,
        move: bool,
        messages: int | None = None,
    ) -> Copied:
        """COPY or MOVE from another account (`source`, its `mailbox` and `ranges`) into this one, all or none.
        messages: as of `copy`.

        EMAILID, THREADID, dates and octets go along; flags as the acting user sees them, those that he may set
        here. A move is filed here first and removed there afterwards; a crash between the two is made good when
        the source is opened next. Octets pass through in pieces. Raises TooMuchAtOnce past the bound on what one
        such command carries, and what append raises.
        """
        ...

    # POP3 ------------------------------------------------------------------------------------------

    def lock_maildrop(self) -> AbstractAsyncContextManager[None]:
        """Hold the maildrop against other POP3 sessions of any process. Raises InUse. Let go when the process dies."""
        ...

    async def maildrop(self) -> DropList:
        """Messages of INBOX that POP3 may see, ascending by UID. Gives out missing UIDL suffixes durably first."""
        ...

    async def finish_maildrop(
        self, delete: UidRanges, how: Pop3Delete, retrieved: UidRanges, *, mark_seen: bool
    ) -> None:
        """POP3's QUIT: one command, one commit. Raises as append does for Trash; nothing happens then."""
        ...

    async def expire_retrieved(self, before: int) -> int:
        """Move INBOX messages that POP3 retrieved before `before` (seconds UTC) to Trash; how many."""
        ...

    # Keeping house ---------------------------------------------------------------------------------

    async def recoverable(self) -> list[Recoverable]:
        """Removed messages that undelete can bring back, newest removal first."""
        ...

    async def undelete(self, numbers: Sequence[int], mailbox: int | None) -> Appended | None:
        """Bring messages back under new UIDs, with flags, dates, EMAILID: into `mailbox`, or where each was
        (created again if it is gone). The last mailbox's result, None if `numbers` is empty."""
        ...

    async def rewind(self, to: int | Snapshot_, *, apply: bool) -> Rewound:
        """Take the account back to what it was at an instant (seconds UTC), or in a backup's snapshot: messages removed
        since come back, moves are undone, flags, names, special uses and subscriptions are those of then; what came
        since stays. See `store.rewind`. Rights and annotations are not touched.

        One command, or nothing where `apply` is False or nothing is to be done; both tell the same. Room is not
        counted against the quota, as with `undelete`. Cost grows with what changed since (a snapshot: with all there
        is). Raises BeyondHistory where an instant is past the retention.
        """
        ...

    async def undo_rewind(self, id: int, *, apply: bool) -> Rewound:
        """Take the account back to what it was before a rewind, what the rewind brought being removed again. As
        `rewind`, and undone as one. Raises NoSuchRewind."""
        ...

    async def rewinds(self) -> list[RewindNote]:
        """Rewinds that can be undone, oldest first."""
        ...

    async def note_rewound(self, id: int, mailbox: int, ranges: UidRanges) -> None:
        """Say that these placements, appended behind a rewind, belong to it: undoing it removes them."""
        ...

    def bringing_back(self) -> AbstractAsyncContextManager[None]:
        """Be the only one, over all processes, who brings former mail back: what is missing is looked up before it is
        added. Raises InUse at once where somebody else is. Let go when the process dies."""
        ...

    async def reclaim(self, budget: int) -> int:
        """Free contents past the retention, at most `budget` messages; how many. Repeats until 0."""
        ...

    async def stats(self) -> AccountStats: ...

    async def quota(self) -> QuotaState:
        """The account's limits as they are now, and what it uses. Cost: a row a mailbox."""
        ...

    async def provenance(self, mailbox: int, ranges: UidRanges) -> list[Provenance]:
        """What export keeps of placements beside their columns, ascending by UID."""
        ...

    async def mark(self) -> Mark:
        """What says whether the account has changed since another mark was taken. One look, for a backup.

        Raises NoPermission for who is not the owner.
        """
        ...

    async def answers(self, emails: Sequence[int]) -> list[AnswerRow | None]:
        """What was answered for emails (their orders, see `PlacedRow`) at delivery, for a backup; None for one that is
        gone. Their sum is for the caller to bound: some kB each as a rule, a megabyte at most.

        Raises NoPermission for who is not the owner.
        """
        ...

    def instant(self) -> AbstractAsyncContextManager[Instant]:
        """The account's rows at one moment, for a backup: nobody who writes or reads waits for it.

        Raises NoPermission for who is not the owner.
        """
        ...

    def doctor(self, repair: bool) -> AsyncIterator[Finding]:
        """Check every invariant; mend what can be derived when asked. Never deletes a message."""
        ...


class Engine(Protocol):
    """All accounts of one installation."""

    @property
    def directory(self) -> Directory: ...

    def account(self, account: str, actor: str | None = None, session: str = "") -> Store:
        """The account's store as the acting user sees it (its owner when actor is None). No I/O.

        session: who changes things, for the removal log: protocol and connection ("imap 7f3a").
        """
        ...

    async def create_account(self, account: str) -> None:
        """Make the account's store with an INBOX. Does nothing if it is there."""
        ...

    def rebuild(self, account: str, head: Head) -> AbstractAsyncContextManager[Rebuilding]:
        """Make an account's store anew from a backup, whole or not at all.

        When it is first used it is an older state put in service: all that the lost one may have given out stays
        given out, by whichever state of the account here, and what `head.served` says. Raises AccountExists where
        there is a store of this account: this very state, made and not yet used; AnotherStore where it is anything
        else.
        """
        ...

    async def delete_account(self, account: str) -> None:
        """Remove the account's store for good. What was given out for it stays known, should it come back by
        `rebuild`."""
        ...

    async def sizes(self, account: str) -> AccountStats:
        """`Store.stats` of an account that nobody works with here: nothing of it stays open. For those who look at all
        accounts. Raises as that does."""
        ...

    async def leave(self, account: str) -> None:
        """Say that nobody comes back to the account soon: what is open for it alone is closed, if nobody uses it.

        For those who go through all accounts: thousands of them must not be open at once."""
        ...

    async def strays(self) -> list[str]:
        """Names of stores that no account of the directory has: what a creation that was cut off left behind, or a
        file put there by hand. Nothing is done about them."""
        ...

    def tend_search(self, account: str) -> None:
        """Make what search keeps of the account's new mail, in the background and soon. Does nothing where this
        engine keeps nothing for search, or has left that to somebody else."""
        ...

    def leave_search_to(self, note: Callable[[str], None]) -> None:
        """From now on this engine only tells `note` (on the event loop's thread) which accounts have new mail, and
        whoever that is tends them."""
        ...

    @property
    def resting(self) -> bool:
        """Whether no account is open here, nothing is under way, and nothing is kept that took long to read: a process
        that ended now would cost nobody anything."""
        ...

    def watch(self, account: str, on_change: OnChange, known: int | None = None) -> Watch:
        """Be told of the account's changes, made by whichever process, within 100 ms as a rule.

        known: a number of the account's that the caller has read, so that its counter need not be; where that is
        higher already, a change made before may be told.
        """
        ...

    def watch_shares(self, account: str, on_change: Callable[[], None]) -> Watch:
        """Be told when somebody has changed what he shares with the person of this account, or with everybody; within
        100 ms as a rule, though a hint may be lost."""
        ...

    async def close(self) -> None:
        """Finish queued commits and let go of everything."""
        ...
