"""The side that is a Maildir tree, Maildir++ or plain, on which other programs work at any time.

    side        Side's methods, each done in one thread
    tree        the open tree: root and folders that are the ones they were; what every operation needs
    census      which folder is which, by markers     marker    restante-id
    look        whether a folder changed, by times    scan      what it holds, put beside the index
    index       numbers for names (SQLite)            layout    mailboxes' names and folders' paths
    letters, keywords    flags in file names          names, octets    unique names, line ends
    read, write, change, mailboxes, watch             what is done; durable, transfer, subscriptions: how

docs/sync-maildir.md documents what is left in a tree.
"""

from .layout import Layout, detect
from .side import MaildirSide

__all__ = ["Layout", "MaildirSide", "detect"]
