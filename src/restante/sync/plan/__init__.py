"""The three-way merge: base, what changed on each side -> what is to be done. Pure; handed only what changed.

`mailboxes`: which mailbox is which, and what becomes of the list. `difference`: one side's listing against the base.
`match`: which messages are the same. `messages`: what is to be done. `brake`: which removals wait for a person.

The rules (docs/sync-rules.md says them to people, under its own numbers; side one is the far one, the server):

Mailboxes
 1. A mailbox is known again by its permanent id, else by its name, else (a mailbox is missing, a new one has the same
    UIDVALIDITY) by the messages in it. INBOX is INBOX.
 2. Made on one side: made on the other. Made on both under one name: it is one mailbox.
 3. Renamed on one side: renamed on the other, children too. On both, differently: side one's name. Where a name is
    taken, the newcomer gets a number ("Name~2").
 4. Gone on one side: what is in it on the other side counts as removed (rules 9 to 12), after what moved elsewhere is
    known as moved; the mailbox goes once it is empty. New or changed messages on the other side make it again, with
    them alone.
 5. Special use and subscription: what changed is carried over; on both sides, side one wins.

Messages
 6. Flags merge by change, not by side: what was added on either side is added on the other, what was removed is
    removed; added wins where both happened to one flag. A keyword that a side was never seen to keep is not missed
    there.
 7. Moved on one side: moved on the other. Both, to different mailboxes: side one's. A move is known by EMAILID, else by
    content.
 8. The same message added on both sides (EMAILID; or mark, size and date, one of each; else its octets) is one; flags
    of both. Where that is doubtful they are two.
 9. Removed on one side, unchanged on the other: removed there. On both: forgotten.
10. Removed on one side, changed on the other (flags other than \\Deleted, or moved): it comes back, unless
    `removal_wins`. A placeholder does not come back.
11. Many removed at once are held (`settings.Brake`) until a person accepts or refuses; refused, they come back.
12. A held message that comes back by itself, or is changed on the other side, is held no longer.
"""
