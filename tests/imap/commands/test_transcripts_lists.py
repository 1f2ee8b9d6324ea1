"""RFC 9051's and RFC 5258's examples of LIST, with all their answers; RFC 5819, RFC 6154 (ids are their sections).

Three things differ from the printed answers in every one of them. The order is INBOX first, then by name. INBOX is
written so, and it has neither \\Marked nor \\NoInferiors: it may have mailboxes below it. \\HasChildren and
\\HasNoChildren are told unasked (RFC 5258 4: they may be), and in rev1's basic form \\Noselect stands for \\NonExistent
(RFC 3501 7.2.2 knows no other).
"""

from __future__ import annotations

import pytest

from ..people import people
from ..session.support import World, run
from ..session.transcript import Transcript

FRUIT = (
    b"CREATE Fruit/Apple",
    b"CREATE Fruit/Banana",
    b"CREATE Fruit/Peach",
    b"CREATE Tofu",
    b"CREATE Vegetable/Broccoli",
    b"CREATE Vegetable/Corn",
    b"SUBSCRIBE Fruit/Banana",
    b"SUBSCRIBE Fruit/Peach",
    b"SUBSCRIBE Vegetable",
    b"SUBSCRIBE Vegetable/Broccoli",
    b"DELETE Fruit/Peach",
)
FOO = (b"UNSUBSCRIBE INBOX", b"CREATE Foo/Bar", b"CREATE Foo/Baz", b"CREATE Moo", b"SUBSCRIBE Foo/Baz")
TWOS = (
    b"UNSUBSCRIBE INBOX",
    *(
        b"%b %b" % (verb, name)
        for verb, names in (
            (b"CREATE", b"foo2/bar1 foo2/bar2 baz2/bar2 baz2/bar22 baz2/bar222 eps2 eps2/mamba qux2/bar2"),
            (b"DELETE", b"qux2"),
            (b"SUBSCRIBE", b"foo2/bar1 foo2/bar2 baz2/bar2 baz2/bar22 baz2/bar222 eps2 eps2/mamba qux2/bar2"),
        )
        for name in names.split()
    ),
)
SPECIAL = (
    b"CREATE ToDo",
    b"CREATE Projects/one",
    b"CREATE SentMail (USE (\\Sent))",
    b"CREATE MyDrafts (USE (\\Drafts))",
    b"CREATE Trash (USE (\\Trash))",
)

CASES: dict[str, tuple[tuple[bytes, ...], str]] = {
    "rfc5258-5 1 to 3: a hierarchy, what is subscribed of it, and which have children": (
        FRUIT,
        """
        A> LIST "" "*"
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\HasChildren) "/" Fruit
        A< * LIST (\\HasNoChildren) "/" Fruit/Apple
        A< * LIST (\\HasNoChildren) "/" Fruit/Banana
        A< * LIST (\\HasNoChildren) "/" Tofu
        A< * LIST (\\HasChildren) "/" Vegetable
        A< * LIST (\\HasNoChildren) "/" Vegetable/Broccoli
        A< * LIST (\\HasNoChildren) "/" Vegetable/Corn
        A< T OK ...
        A> LIST (SUBSCRIBED) "" "*"
        A< * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
        A< * LIST (\\HasNoChildren \\Subscribed) "/" Fruit/Banana
        A< * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" Fruit/Peach
        A< * LIST (\\HasChildren \\Subscribed) "/" Vegetable
        A< * LIST (\\HasNoChildren \\Subscribed) "/" Vegetable/Broccoli
        A< T OK ...
        A> LIST () "" "%" RETURN (CHILDREN)
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\HasChildren) "/" Fruit
        A< * LIST (\\HasNoChildren) "/" Tofu
        A< * LIST (\\HasChildren) "/" Vegetable
        A< T OK ...
        """,
    ),
    # There are no mailboxes on other servers: "Bread" and "Meat" are not there.
    "rfc5258-5 4 to 6: remote mailboxes as well": (
        FRUIT,
        """
        A> LIST (REMOTE) "" "%" RETURN (CHILDREN)
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\HasChildren) "/" Fruit
        A< * LIST (\\HasNoChildren) "/" Tofu
        A< * LIST (\\HasChildren) "/" Vegetable
        A< T OK ...
        A> LIST (REMOTE SUBSCRIBED) "" "*"
        A< * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
        A< * LIST (\\HasNoChildren \\Subscribed) "/" Fruit/Banana
        A< * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" Fruit/Peach
        A< * LIST (\\HasChildren \\Subscribed) "/" Vegetable
        A< * LIST (\\HasNoChildren \\Subscribed) "/" Vegetable/Broccoli
        A< T OK ...
        A> LIST (REMOTE) "" "*" RETURN (SUBSCRIBED)
        A< * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
        A< * LIST (\\HasChildren) "/" Fruit
        A< * LIST (\\HasNoChildren) "/" Fruit/Apple
        A< * LIST (\\HasNoChildren \\Subscribed) "/" Fruit/Banana
        A< * LIST (\\HasNoChildren) "/" Tofu
        A< * LIST (\\HasChildren \\Subscribed) "/" Vegetable
        A< * LIST (\\HasNoChildren \\Subscribed) "/" Vegetable/Broccoli
        A< * LIST (\\HasNoChildren) "/" Vegetable/Corn
        A< T OK ...
        """,
    ),
    "rfc5258-5 7: several patterns": (
        (
            b"CREATE Drafts",
            b"CREATE Sent/March2004",
            b"CREATE Sent/December2003",
            b"CREATE Sent/August2004",
            b"CREATE Sent/March2004/below",
            b"CREATE Other",
        ),
        """
        A> LIST "" ("INBOX" "Drafts" "Sent/%")
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\HasNoChildren) "/" Drafts
        A< * LIST (\\HasNoChildren) "/" Sent/August2004
        A< * LIST (\\HasNoChildren) "/" Sent/December2003
        A< * LIST (\\HasChildren) "/" Sent/March2004
        A< T OK ...
        # what matches several of them is told once
        A> LIST "" ("INBOX" "%" "Dra*" INBOX)
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\HasNoChildren) "/" Drafts
        A< * LIST (\\HasNoChildren) "/" Other
        A< * LIST (\\HasChildren) "/" Sent
        A< T OK ...
        """,
    ),
    "rfc5258-3 an option that stands twice, and one that is none": (
        (b"CREATE Foo",),
        """
        A> LIST (SUBSCRIBED SUBSCRIBED) "" * RETURN (CHILDREN CHILDREN)
        A< * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
        A< T OK ...
        A> LIST "" * RETURN (SUBSCRIBED STATUS (MESSAGES MESSAGES) STATUS (MESSAGES) SUBSCRIBED)
        A< * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
        A< * STATUS INBOX (MESSAGES 3)
        A< * LIST (\\HasNoChildren) "/" Foo
        A< * STATUS Foo (MESSAGES 0)
        A< T OK ...
        A> LIST (NONSENSE) "" *
        A< T BAD ...
        A> LIST (RECURSIVEMATCH) "" *
        A< T BAD ...
        """,
    ),
    "rfc5258-5 8: having children, and having some that match": (
        FOO,
        """
        A> LIST "" "%" RETURN (CHILDREN)
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\HasChildren) "/" Foo
        A< * LIST (\\HasNoChildren) "/" Moo
        A< T OK ...
        A> LIST (SUBSCRIBED) "" "*"
        A< * LIST (\\HasNoChildren \\Subscribed) "/" Foo/Baz
        A< T OK ...
        A> LIST (SUBSCRIBED) "" "%"
        A< T OK ...
        A> LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
        A< * LIST (\\HasChildren) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))
        A< T OK ...
        # A1
        A> SUBSCRIBE Foo
        A< T OK ...
        A> LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
        A< * LIST (\\HasChildren \\Subscribed) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))
        A< T OK ...
        # both, of a name without a mailbox (the seventh row of section 3.5's table)
        A> DELETE Foo
        A< T OK ...
        A> LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
        A< * LIST (\\NonExistent \\HasChildren \\Subscribed) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))
        A< T OK ...
        # A2
        A> UNSUBSCRIBE Foo
        A< T OK ...
        A> LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
        A< * LIST (\\NonExistent \\HasChildren) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))
        A< T OK ...
        # B
        A> CREATE Foo
        A< T OK ...
        A> UNSUBSCRIBE Foo/Baz
        A< T OK ...
        A> LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
        A< T OK ...
        # C
        A> SUBSCRIBE Foo
        A< T OK ...
        A> SUBSCRIBE Moo
        A< T OK ...
        A> LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (CHILDREN)
        A< * LIST (\\HasChildren \\Subscribed) "/" Foo
        A< * LIST (\\HasNoChildren \\Subscribed) "/" Moo
        A< T OK ...
        """,
    ),
    # The last answer leaves out "foo2" and "baz2", which the printed one has: each of them is not subscribed, and its
    # children are listed, so section 3.5 of the same text says that they SHOULD be left out ("servers SHOULD suppress
    # redundant CHILDINFO responses"). The first has "qux2", which is no mailbox, as example 11 has "music".
    "rfc5258-5 9: a pattern that matches children as well": (
        TWOS,
        """
        A> LIST () "" "*"
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\HasChildren) "/" baz2
        A< * LIST (\\HasNoChildren) "/" baz2/bar2
        A< * LIST (\\HasNoChildren) "/" baz2/bar22
        A< * LIST (\\HasNoChildren) "/" baz2/bar222
        A< * LIST (\\HasChildren) "/" eps2
        A< * LIST (\\HasNoChildren) "/" eps2/mamba
        A< * LIST (\\HasChildren) "/" foo2
        A< * LIST (\\HasNoChildren) "/" foo2/bar1
        A< * LIST (\\HasNoChildren) "/" foo2/bar2
        A< * LIST (\\NonExistent \\HasChildren) "/" qux2
        A< * LIST (\\HasNoChildren) "/" qux2/bar2
        A< T OK ...
        A> LIST (SUBSCRIBED) "" "*"
        A< * LIST (\\HasNoChildren \\Subscribed) "/" baz2/bar2
        A< * LIST (\\HasNoChildren \\Subscribed) "/" baz2/bar22
        A< * LIST (\\HasNoChildren \\Subscribed) "/" baz2/bar222
        A< * LIST (\\HasChildren \\Subscribed) "/" eps2
        A< * LIST (\\HasNoChildren \\Subscribed) "/" eps2/mamba
        A< * LIST (\\HasNoChildren \\Subscribed) "/" foo2/bar1
        A< * LIST (\\HasNoChildren \\Subscribed) "/" foo2/bar2
        A< * LIST (\\HasNoChildren \\Subscribed) "/" qux2/bar2
        A< T OK ...
        A> LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"
        A< * LIST (\\HasNoChildren \\Subscribed) "/" baz2/bar2
        A< * LIST (\\HasNoChildren \\Subscribed) "/" baz2/bar22
        A< * LIST (\\HasNoChildren \\Subscribed) "/" baz2/bar222
        A< * LIST (\\HasChildren \\Subscribed) "/" eps2 ("CHILDINFO" ("SUBSCRIBED"))
        A< * LIST (\\HasChildren) "/" foo2 ("CHILDINFO" ("SUBSCRIBED"))
        A< * LIST (\\HasNoChildren \\Subscribed) "/" foo2/bar2
        A< * LIST (\\HasNoChildren \\Subscribed) "/" qux2/bar2
        A< T OK ...
        A> LIST (RECURSIVEMATCH SUBSCRIBED) "" "*"
        A< * LIST (\\HasNoChildren \\Subscribed) "/" baz2/bar2
        A< * LIST (\\HasNoChildren \\Subscribed) "/" baz2/bar22
        A< * LIST (\\HasNoChildren \\Subscribed) "/" baz2/bar222
        A< * LIST (\\HasChildren \\Subscribed) "/" eps2 ("CHILDINFO" ("SUBSCRIBED"))
        A< * LIST (\\HasNoChildren \\Subscribed) "/" eps2/mamba
        A< * LIST (\\HasNoChildren \\Subscribed) "/" foo2/bar1
        A< * LIST (\\HasNoChildren \\Subscribed) "/" foo2/bar2
        A< * LIST (\\HasNoChildren \\Subscribed) "/" qux2/bar2
        A< T OK ...
        """,
    ),
    "rfc5258-5 10: a child that is subscribed to and not there": (
        (b"CREATE foo/bar", b"SUBSCRIBE foo/bar", b"DELETE foo/bar"),
        """
        A> LIST "" ("foo" "foo/*")
        A< * LIST (\\HasNoChildren) "/" foo
        A< T OK ...
        A> LIST (SUBSCRIBED) "" "foo/*"
        A< * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" foo/bar
        A< T OK ...
        A> LIST (SUBSCRIBED RECURSIVEMATCH) "" foo RETURN (CHILDREN)
        A< * LIST (\\HasNoChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))
        A< T OK ...
        """,
    ),
    # "music" is told beside "music/rock" also where both would be listed: "clients must handle both cases". There is
    # no "also/jazz" on another server.
    "rfc5258-5 11: a level that is no mailbox": (
        (b"CREATE music/rock", b"DELETE music"),
        """
        A> LIST (REMOTE) "" *
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\NonExistent \\HasChildren) "/" music
        A< * LIST (\\HasNoChildren) "/" music/rock
        A< T OK ...
        A> LIST () "" %
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\NonExistent \\HasChildren) "/" music
        A< T OK ...
        A> LIST "" (% music/rock)
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\NonExistent \\HasChildren) "/" music
        A< * LIST (\\HasNoChildren) "/" music/rock
        A< T OK ...
        """,
    ),
    # The printed CHILDINFO lacks the quotes that the grammar has (RFC 5258 6, childinfo-extended-item).
    "rfc5819-3 status of what is listed, where it can be selected and matches": (
        (b"CREATE foo/sub", b"SUBSCRIBE foo/sub", b"CREATE bar/below", b"DELETE bar"),
        """
        A> LIST "" % RETURN (STATUS (MESSAGES UNSEEN))
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * STATUS INBOX (MESSAGES 3 UNSEEN 3)
        A< * LIST (\\NonExistent \\HasChildren) "/" bar
        A< * LIST (\\HasChildren) "/" foo
        A< * STATUS foo (MESSAGES 0 UNSEEN 0)
        A< T OK ...
        A> LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (MESSAGES))
        A< * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
        A< * STATUS INBOX (MESSAGES 3)
        A< * LIST (\\HasChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))
        A< T OK ...
        """,
    ),
    # All names here are of one hierarchy whose root is "": none is rooted as "/usr/..." and "#news." are there.
    "rfc9051-6.3.9.8 the basic command": (
        (b"CREATE ~/Mail/foo/below", b"DELETE ~/Mail/foo", b"CREATE ~/Mail/meetings"),
        """
        A> LIST "" ""
        A< * LIST (\\Noselect) "/" ""
        A< T OK ...
        A> LIST #news.comp.mail.misc ""
        A< * LIST (\\Noselect) "/" ""
        A< T OK ...
        A> LIST /usr/staff/jones ""
        A< * LIST (\\Noselect) "/" ""
        A< T OK ...
        A> LIST ~/Mail/ %
        A< * LIST (\\Noselect \\HasChildren) "/" ~/Mail/foo
        A< * LIST (\\HasNoChildren) "/" ~/Mail/meetings
        A< T OK ...
        """,
    ),
    # RFC 9051's example 9 leaves the second pattern away.
    "rfc9051-6.3.9.8 9: one pattern in parentheses": (
        (b"CREATE foo/bar", b"SUBSCRIBE foo/bar", b"DELETE foo/bar"),
        """
        A> LIST "" ("foo")
        A< * LIST (\\HasNoChildren) "/" foo
        A< T OK ...
        """,
    ),
    "rfc6154-5.1 and 5.2 special uses are told unasked, asked for, and alone": (
        SPECIAL,
        """
        A> LIST "" "%"
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\HasNoChildren \\Drafts) "/" MyDrafts
        A< * LIST (\\HasChildren) "/" Projects
        A< * LIST (\\HasNoChildren \\Sent) "/" SentMail
        A< * LIST (\\HasNoChildren) "/" ToDo
        A< * LIST (\\HasNoChildren \\Trash) "/" Trash
        A< T OK ...
        A> LIST "" "%" RETURN (SPECIAL-USE)
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\HasNoChildren \\Drafts) "/" MyDrafts
        A< * LIST (\\HasChildren) "/" Projects
        A< * LIST (\\HasNoChildren \\Sent) "/" SentMail
        A< * LIST (\\HasNoChildren) "/" ToDo
        A< * LIST (\\HasNoChildren \\Trash) "/" Trash
        A< T OK ...
        A> LIST (SPECIAL-USE) "" "*"
        A< * LIST (\\HasNoChildren \\Drafts) "/" MyDrafts
        A< * LIST (\\HasNoChildren \\Sent) "/" SentMail
        A< * LIST (\\HasNoChildren \\Trash) "/" Trash
        A< T OK ...
        """,
    ),
    # Here a mailbox has one special use, and \\All is as good as any: so the first of the printed commands is the one
    # that is refused. Neither leaves a mailbox behind where it is ("MUST NOT create").
    "rfc6154-5.3 create with what cannot be leaves nothing": (
        (),
        """
        A> CREATE MySpecial (USE (\\Drafts \\Sent))
        A< T NO [USEATTR] ...
        A> CREATE Everything (USE (\\Nonsense))
        A< T NO [USEATTR] ...
        A> LIST "" "*"
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< T OK ...
        A> CREATE Everything (USE (\\All))
        A< T OK [MAILBOXID (<id>)] ...
        A> LIST (SPECIAL-USE) "" "*"
        A< * LIST (\\HasNoChildren \\All) "/" Everything
        A< T OK ...
        """,
    ),
    "rfc9051-6.3.4 a name in another form is told as it is": (
        (b"ENABLE IMAP4rev2",),
        """
        A> CREATE owatagusiam/
        A< T OK [MAILBOXID (<id>)] CREATE completed.
        A> CREATE owatagusiam/blurdybloop
        A< T OK [MAILBOXID (<id>)] CREATE completed.
        A> CREATE "Cafe\u0301"
        A< * LIST () "/" "Caf\u00e9" ("OLDNAME" ("Cafe\u0301"))
        A< T OK [MAILBOXID (<id>)] CREATE completed.
        # below INBOX too, in whatever case
        A> CREATE "inbox/Cafe\u0301"
        A< * LIST () "/" "INBOX/Caf\u00e9" ("OLDNAME" ("inbox/Cafe\u0301"))
        A< T OK [MAILBOXID (<id>)] CREATE completed.
        A> CREATE Inbox/lists
        A< * LIST () "/" INBOX/lists ("OLDNAME" (Inbox/lists))
        A< T OK [MAILBOXID (<id>)] CREATE completed.
        A> RENAME owatagusiam/blurdybloop inbox/bloop
        A< * LIST () "/" INBOX/bloop ("OLDNAME" (owatagusiam/blurdybloop))
        A< T OK ...
        A> DELETE inbox/bloop
        A< * LIST (\\NonExistent) "/" INBOX/bloop ("OLDNAME" (inbox/bloop))
        A< T OK ...
        A> LIST "" *
        A< * LIST (\\HasChildren) "/" INBOX
        A< * LIST (\\HasNoChildren) "/" "Caf\u00e9"
        A< * LIST (\\HasNoChildren) "/" "INBOX/Caf\u00e9"
        A< * LIST (\\HasNoChildren) "/" INBOX/lists
        A< * LIST (\\HasNoChildren) "/" owatagusiam
        A< T OK ...
        """,
    ),
    # A name that is no mailbox goes with the last mailbox below it: the "foo" that the first of the two examples
    # deletes at its end is gone before.
    "rfc9051-6.3.5 delete": (
        (b"CREATE blurdybloop", b"CREATE foo/bar", b"DELETE foo"),
        """
        A> LIST "" *
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\HasNoChildren) "/" blurdybloop
        A< * LIST (\\Noselect \\HasChildren) "/" foo
        A< * LIST (\\HasNoChildren) "/" foo/bar
        A< T OK ...
        A> DELETE blurdybloop
        A< T OK DELETE completed.
        A> DELETE foo
        A< T NO [HASCHILDREN] ...
        A> DELETE foo/bar
        A< T OK DELETE completed.
        A> LIST "" *
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< T OK ...
        A> DELETE foo
        A< T NO [NONEXISTENT] ...
        A> DELETE INBOX
        A< T NO [CANNOT] ...
        """,
    ),
    "rfc9051-6.3.5 delete of what has mailboxes below it leaves their level": (
        (b"CREATE blurdybloop", b"CREATE foo/bar"),
        """
        A> DELETE blurdybloop
        A< T OK DELETE completed.
        A> DELETE foo
        A< T OK DELETE completed.
        A> LIST "" foo/*
        A< * LIST (\\HasNoChildren) "/" foo/bar
        A< T OK ...
        A> LIST "" %
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\Noselect \\HasChildren) "/" foo
        A< T OK ...
        """,
    ),
    "rfc9051-6.3.6 rename, and a subscription that stays": (
        (b"CREATE blurdybloop", b"CREATE foo/bar", b"DELETE foo", b"CREATE INBOX/bar", b"CREATE X", b"SUBSCRIBE X"),
        """
        A> RENAME blurdybloop sarasoop
        A< T OK RENAME completed.
        A> RENAME foo zowie
        A< T OK RENAME completed.
        A> RENAME INBOX old-mail
        A< T OK RENAME completed.
        A> RENAME X Y
        A< T OK RENAME completed.
        A> LIST (SUBSCRIBED) "" *
        A< * LIST (\\HasChildren \\Subscribed) "/" INBOX
        A< * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" X
        A< T OK ...
        A> SUBSCRIBE Y
        A< T OK ...
        A> UNSUBSCRIBE X
        A< T OK ...
        A> LIST "" * RETURN (SUBSCRIBED)
        A< * LIST (\\HasChildren \\Subscribed) "/" INBOX
        A< * LIST (\\HasNoChildren) "/" INBOX/bar
        A< * LIST (\\HasNoChildren \\Subscribed) "/" Y
        A< * LIST (\\HasNoChildren) "/" old-mail
        A< * LIST (\\HasNoChildren) "/" sarasoop
        A< * LIST (\\NonExistent \\HasChildren) "/" zowie
        A< * LIST (\\HasNoChildren) "/" zowie/bar
        A< T OK ...
        """,
    ),
    # Of a name without a mailbox SUBSCRIBE is refused (RFC 9051 6.3.7: "MAY validate").
    "rfc9051-6.3.7 and 6.3.8 subscribe": (
        (b"CREATE #news.comp.mail.mime",),
        """
        A> SUBSCRIBE #news.comp.mail.mime
        A< T OK SUBSCRIBE completed.
        A> LIST (SUBSCRIBED) "" #*
        A< * LIST (\\HasNoChildren \\Subscribed) "/" #news.comp.mail.mime
        A< T OK ...
        A> UNSUBSCRIBE #news.comp.mail.mime
        A< T OK UNSUBSCRIBE completed.
        A> LIST (SUBSCRIBED) "" #*
        A< T OK ...
        """,
    ),
    # "/" stands for the printed ".", which separates nothing here.
    "rfc3501-6.3.9 lsub": (
        tuple(
            b"%b #news/comp/mail/%b" % (verb, name) for verb in (b"CREATE", b"SUBSCRIBE") for name in (b"mime", b"misc")
        ),
        """
        A> LSUB "#news/" "comp/mail/*"
        A< * LSUB () "/" #news/comp/mail/mime
        A< * LSUB () "/" #news/comp/mail/misc
        A< T OK LSUB completed.
        A> LSUB "#news/" "comp/%"
        A< * LSUB (\\Noselect) "/" #news/comp/mail
        A< T OK LSUB completed.
        """,
    ),
    "rfc9051-7.1 codes of refused names": (
        (b"CREATE this", b"CREATE that", b"CREATE Notes/below", b"DELETE Notes"),
        """
        A> RENAME this that
        A< T NO [ALREADYEXISTS] ...
        A> DELETE Notes
        A< T NO [HASCHILDREN] ...
        A> RENAME nowhere that
        A< T NO [NONEXISTENT] ...
        A> CREATE "///////"
        A< T NO [CANNOT] ...
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    setup, text = CASES[name]

    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three")
        await Transcript(world, setup).play(text)

    run(scenario)


# Each person is a level above mailboxes, none himself. Examples 1 to 6 show other servers' hierarchies.
OTHERS = """
    A> NAMESPACE
    A< * NAMESPACE (("" "/")) (("Other Users/" "/")) NIL
    A< T OK NAMESPACE completed.
    A> LIST "" "Other Users/%"
    A< * LIST (\\Noselect \\HasChildren) "/" "Other Users/bob@example.org"
    A< * LIST (\\Noselect \\HasChildren) "/" "Other Users/carol@example.org"
    A< T OK LIST completed.
    A> LIST "" "Other Users/bob@example.org/%"
    A< * LIST (\\HasNoChildren) "/" "Other Users/bob@example.org/INBOX"
    A< * LIST (\\HasNoChildren) "/" "Other Users/bob@example.org/foo"
    A< T OK LIST completed.
    B> NAMESPACE
    B< * NAMESPACE (("" "/")) (("Other Users/" "/")) NIL
    B< T OK NAMESPACE completed.
    # nobody shares anything with him
    B> LIST "" "Other Users/%"
    B< T OK LIST completed.
"""


def test_rfc9051_6_3_10_examples_7_to_9_of_namespace() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        await world.client(
            b"CREATE foo", b"SETACL foo ann@example.org lr", b"SETACL INBOX ann@example.org lr", user=b"bob"
        )
        await world.client(b"CREATE foo", b"SETACL foo ann@example.org lr", user=b"carol")
        await Transcript(world, logins={"A": b"ann", "B": b"bob"}).play(OTHERS)

    run(scenario)
