"""What the RFCs about annotations show, with their values. RFC 5464 4; RFC 9590 4.

TOOMANY and what is told unasked (4.4.2) are in test_metadata, which also has these commands in other words.
"""

from __future__ import annotations

import pytest

from ..session.support import World, run
from ..session.transcript import Transcript

LONG = "x" * 2199

CASES: dict[str, str] = {
    "rfc5464-4.2 and 4.4.1 values": """
        A> SETMETADATA "" (/shared/comment "Shared comment")
        A< T OK SETMETADATA completed.
        A> GETMETADATA "" /shared/comment
        A< * METADATA "" (/shared/comment "Shared comment")
        A< T OK GETMETADATA completed.
        A> SETMETADATA INBOX (/private/comment "My own comment" /shared/comment "Its sunny outside!")
        A< T OK SETMETADATA completed.
        A> GETMETADATA "INBOX" /private/comment
        A< * METADATA INBOX (/private/comment "My own comment")
        A< T OK GETMETADATA completed.
        A> GETMETADATA "INBOX" (/shared/comment /private/comment)
        A< * METADATA INBOX (/shared/comment "Its sunny outside!" /private/comment "My own comment")
        A< T OK GETMETADATA completed.
        # as 4.4.1 writes it, though no grammar does; one response or two are the server's choice
        A> GETMETADATA "INBOX" /private/comment /shared/comment
        A< * METADATA INBOX (/private/comment "My own comment" /shared/comment "Its sunny outside!")
        A< T OK GETMETADATA completed.
    """,
    "rfc5464-4.2.1 the largest that is too large": f"""
        A> SETMETADATA INBOX (/private/comment "My own comment" /shared/comment "{LONG}")
        A< T OK SETMETADATA completed.
        A> GETMETADATA "INBOX" (MAXSIZE 1024) (/shared/comment /private/comment)
        A< * METADATA INBOX (/private/comment "My own comment")
        A< T OK [METADATA LONGENTRIES 2199] GETMETADATA completed.
        A> GETMETADATA "INBOX" (MAXSIZE 2198) /shared/comment
        A< T OK [METADATA LONGENTRIES 2199] GETMETADATA completed.
        A> GETMETADATA "INBOX" (MAXSIZE 2199) /shared/comment
        A< * METADATA INBOX (/shared/comment {{2199}}
        A< {LONG})
        A< T OK GETMETADATA completed.
    """,
    "rfc5464-4.2.2 entries below another": """
        A> SETMETADATA INBOX (/private/filters/values/small "SMALLER 5000")
        A< T OK SETMETADATA completed.
        A> SETMETADATA INBOX (/private/filters/values/boss "FROM \\"boss@example.com\\"" /private/filters/x "no")
        A< T OK SETMETADATA completed.
        A> GETMETADATA "INBOX" (DEPTH 1) (/private/filters/values)
        A< * METADATA INBOX (/private/filters/values/boss "FROM \\"boss@example.com\\"" /private/filters/values/small "SMALLER 5000")
        A< T OK GETMETADATA completed.
    """,  # noqa: E501 - one response
    # The literal's 33 octets are without the CRLF that the RFC prints behind them.
    "rfc5464-4.3 set and removed": """
        A> SETMETADATA INBOX (/private/comment {33}
        A< + Ready for the literal.
        A+ My new comment across
        A+ two lines.)
        A< T OK SETMETADATA completed.
        A> GETMETADATA INBOX /private/comment
        A< * METADATA INBOX (/private/comment {33}
        A< My new comment across
        A< two lines.)
        A< T OK GETMETADATA completed.
        A> SETMETADATA INBOX (/private/comment NIL)
        A< T OK SETMETADATA completed.
        A> GETMETADATA INBOX (DEPTH infinity) (/private /shared)
        A< * METADATA INBOX (/private NIL /shared NIL)
        A< T OK GETMETADATA completed.
        A> SETMETADATA INBOX (/private/comment "My new comment" /shared/comment "This one is for you!")
        A< T OK SETMETADATA completed.
        A> GETMETADATA INBOX (/private/comment /shared/comment)
        A< * METADATA INBOX (/private/comment "My new comment" /shared/comment "This one is for you!")
        A< T OK GETMETADATA completed.
    """,
    "rfc5464-4.1 a renamed inbox keeps its annotations, and so has the new mailbox": """
        A> SETMETADATA INBOX (/private/comment "mine" /shared/comment "all")
        A< T OK ...
        A> RENAME INBOX Old
        A< T OK ...
        A> GETMETADATA INBOX (/private/comment /shared/comment)
        A< * METADATA INBOX (/private/comment "mine" /shared/comment "all")
        A< T OK ...
        A> SETMETADATA INBOX (/private/comment "changed")
        A< T OK ...
        A> GETMETADATA Old (/private/comment /shared/comment)
        A< * METADATA Old (/private/comment "mine" /shared/comment "all")
        A< T OK ...
    """,
    "rfc9590-4 annotations in a listing": """
        A> CREATE foo/below
        A< T OK ...
        A> CREATE bar/below
        A< T OK ...
        A> DELETE bar
        A< T OK ...
        A> SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/color "#b71c1c")
        A< T OK ...
        A> LIST "" % RETURN (METADATA ("/shared/vendor/cmu/cyrus-imapd/color"))
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * METADATA INBOX (/shared/vendor/cmu/cyrus-imapd/color "#b71c1c")
        A< * LIST (\\NonExistent \\HasChildren) "/" bar
        A< * LIST (\\HasChildren) "/" foo
        A< * METADATA foo (/shared/vendor/cmu/cyrus-imapd/color NIL)
        A< T OK LIST completed.
        A> SUBSCRIBE foo/below
        A< T OK ...
        A> LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (METADATA ("/shared/vendor/cmu/cyrus-imapd/color"))
        A< * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
        A< * METADATA INBOX (/shared/vendor/cmu/cyrus-imapd/color "#b71c1c")
        A< * LIST (\\HasChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))
        A< T OK LIST completed.
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        await Transcript(world).play(CASES[name])

    run(scenario)
