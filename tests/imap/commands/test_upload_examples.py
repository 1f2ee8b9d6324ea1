"""What the RFCs about uploads show, literal by literal: MULTIAPPEND, CATENATE, REPLACE.

RFC 3502 6.3.11; RFC 4469 appendix A; RFC 8508 3.2, 3.3, 4.2. In Drafts lie, in the place of those with the UIDs 20,
30 and 21, a draft with an attachment (1), an attachment as it will stand in a message (2) and a draft with slides (3).
`<drafts>` and `<inbox>` stand for the paths with UIDVALIDITY.
"""

from __future__ import annotations

import pytest

from restante.store.quota import Quota

from ..session.support import World, run
from ..session.transcript import Transcript

DRAFT = """\
From: Bob Ar <bar@example.org>
Subject: Our trip
MIME-Version: 1.0
Content-Type: multipart/mixed;
 boundary="------------030308070208000400050907"

--------------030308070208000400050907
Content-Type: text/plain; charset=us-ascii

The schedule.
--------------030308070208000400050907
Content-Type: application/x-zip-compressed
Content-Transfer-Encoding: base64

UEsDBA==
--------------030308070208000400050907--
"""
ATTACHMENT = "Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\nJVBERg==\n"
SLIDES = DRAFT.replace("50907", "50903").replace("x-zip-compressed", "vnd.ms-powerpoint")

CASES: dict[str, str] = {
    # The literals are as long as the RFC says. A text with both messages comes back as they were sent.
    "rfc3502-6.3.11 two messages in one command, and two that are refused": """
        A> CREATE saved-messages
        A< T OK ...
        A> APPEND saved-messages (\\Seen) {329}
        A< + Ready for the literal.
        A+ Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)
        A+ From: Fred Foobar <foobar@Blurdybloop.example.COM>
        A+ Subject: afternoon meeting
        A+ To: mooch@owatagu.example.net
        A+ Message-Id: <B27397-0100000@Blurdybloop.example.COM>
        A+ MIME-Version: 1.0
        A+ Content-Type: TEXT/PLAIN; CHARSET=US-ASCII
        A+
        A+ Hello Joe, do you think we can meet at 3:30 tomorrow?
        A+  (\\Seen) " 7-Feb-1994 22:43:04 -0800" {295}
        A< + Ready for the literal.
        A+ Date: Mon, 7 Feb 1994 22:43:04 -0800 (PST)
        A+ From: Joe Mooch <mooch@OWaTaGu.example.net>
        A+ Subject: Re: afternoon meeting
        A+ To: foobar@blurdybloop.example.com
        A+ Message-Id: <a0434793874930@OWaTaGu.example.net>
        A+ MIME-Version: 1.0
        A+ Content-Type: TEXT/PLAIN; CHARSET=US-ASCII
        A+
        A+ 3:30 is fine with me.
        A+
        A< T OK [APPENDUID <n> 1:2] APPEND completed.
        # a small literal is let come first (test_append_refusals): its answer would be the same
        A> APPEND bogusname (\\Flagged) {102300}
        A< T NO [TRYCREATE] ...
        A> CREATE test
        A< T OK ...
        # the quota is too small for the second message alone
        A> APPEND test (\\Flagged) {99}
        A< + Ready for the literal.
        A+ Date: Mon, 7 Feb 2000 22:43:04 -0800 (PST)
        A+ From: Fred Foobar <fred@example.com>
        A+ Subject: hmm...
        A+  {35403000}
        A< T NO [OVERQUOTA] ...
        A> STATUS test (MESSAGES)
        A< * STATUS test (MESSAGES 0)
        A< T OK ...
        A> SELECT saved-messages
        A< ...
        A< T OK [READ-WRITE] ...
        A> FETCH 1:2 (FLAGS INTERNALDATE BODY.PEEK[TEXT])
        A< * 1 FETCH (FLAGS (\\Seen \\Recent) INTERNALDATE <date> BODY[TEXT] {55}
        A< Hello Joe, do you think we can meet at 3:30 tomorrow?
        A< )
        A< * 2 FETCH (FLAGS (\\Seen \\Recent) INTERNALDATE " 8-Feb-1994 06:43:04 +0000" BODY[TEXT] {23}
        A< 3:30 is fine with me.
        A< )
        A< T OK ...
    """,
    "rfc4469-A example 1, an attachment is replaced": """
        A> STATUS Drafts (UIDVALIDITY)
        A< * STATUS Drafts (UIDVALIDITY <n:v>)
        A< T OK ...
        A> APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (URL "<drafts>/;UID=1/;section=HEADER" TEXT {42}
        A< + Ready for the literal.
        A+
        A+ --------------030308070208000400050907
        A+  URL "<drafts>/;UID=1/;section=1.MIME" URL "<drafts>/;UID=1/;section=1" TEXT {42}
        A< + Ready for the literal.
        A+
        A+ --------------030308070208000400050907
        A+  URL "<drafts>/;UID=2" TEXT {44}
        A< + Ready for the literal.
        A+
        A+ --------------030308070208000400050907--
        A+ )
        A< T OK [APPENDUID <n:v> 4] APPEND completed.
        A> SELECT Drafts
        A< ...
        A< T OK ...
        A> UID FETCH 4 (FLAGS BODY.PEEK[])
        A< * 4 FETCH (UID 4 FLAGS (\\Seen \\Draft $MDNSent \\Recent) BODY[] {<n>}
        A< From: Bob Ar <bar@example.org>
        A< Subject: Our trip
        A< MIME-Version: 1.0
        A< Content-Type: multipart/mixed;
        A<  boundary="------------030308070208000400050907"
        A<
        A<
        A< --------------030308070208000400050907
        A< Content-Type: text/plain; charset=us-ascii
        A<
        A< The schedule.
        A< --------------030308070208000400050907
        A< Content-Type: application/pdf
        A< Content-Transfer-Encoding: base64
        A<
        A< JVBERg==
        A<
        A< --------------030308070208000400050907--
        A< )
        A< T OK ...
        # no part that was read is \\Seen by it
        A> UID FETCH 1:3 FLAGS
        A< * 1 FETCH (UID 1 FLAGS (\\Recent))
        A< * 2 FETCH (UID 2 FLAGS (\\Recent))
        A< * 3 FETCH (UID 3 FLAGS (\\Recent))
        A< T OK ...
    """,
    # The RFC counts 738 octets here and 541 in example 4; as printed they are 721 and 540.
    "rfc4469-A example 2, text and header are replaced": """
        A> SELECT Drafts
        A< ...
        A< * OK [UIDVALIDITY <n:v>] ...
        A< ...
        A< T OK ...
        A> APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (TEXT {721}
        A< + Ready for the literal.
        A+ Return-Path: <bar@example.org>
        A+ Received: from [127.0.0.2]
        A+           by rufus.example.org via TCP (internal) with ESMTPA;
        A+           Thu, 11 Nov 2004 16:57:07 +0000
        A+ Message-ID: <419399E1.6000505@example.org>
        A+ Date: Thu, 12 Nov 2004 16:57:05 +0000
        A+ From: Bob Ar <bar@example.org>
        A+ X-Accept-Language: en-us, en
        A+ MIME-Version: 1.0
        A+ To: foo@example.net
        A+ Subject: About our holiday trip
        A+ Content-Type: multipart/mixed;
        A+               boundary="------------030308070208000400050907"
        A+
        A+ --------------030308070208000400050907
        A+ Content-Type: text/plain; charset=us-ascii; format=flowed
        A+ Content-Transfer-Encoding: 7bit
        A+
        A+ Our travel agent has sent the updated schedule.
        A+
        A+ Cheers,
        A+ Bob
        A+ --------------030308070208000400050907
        A+  URL "<drafts>/;UID=1/;Section=2.MIME" URL "<drafts>/;UID=1/;Section=2" TEXT {44}
        A< + Ready for the literal.
        A+
        A+ --------------030308070208000400050907--
        A+ )
        A< * 4 EXISTS
        A< * 4 RECENT
        A< T OK [APPENDUID <n:v> 4] APPEND completed.
        A> UID STORE 1 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> UID FETCH 4 (BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[1] BODY.PEEK[2])
        A< * 4 FETCH (UID 4 BODY[HEADER.FIELDS (SUBJECT)] {35}
        A< Subject: About our holiday trip
        A<
        A<  BODY[1] {63}
        A< Our travel agent has sent the updated schedule.
        A<
        A< Cheers,
        A< Bob BODY[2] {8}
        A< UEsDBA==)
        A< T OK ...
    """,
    "rfc4469-A example 3, an attachment is stripped": """
        A> STATUS Drafts (UIDVALIDITY)
        A< * STATUS Drafts (UIDVALIDITY <n:v>)
        A< T OK ...
        A> APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (URL "<drafts>/;UID=3/;section=HEADER" TEXT {42}
        A< + Ready for the literal.
        A+
        A+ --------------030308070208000400050903
        A+  URL "<drafts>/;UID=3/;section=1.MIME" URL "<drafts>/;UID=3/;section=1" TEXT {255}
        A< + Ready for the literal.
        A+
        A+ --------------030308070208000400050903
        A+ Content-type: text/plain; charset="us-ascii"
        A+ Content-transfer-encoding: 7bit
        A+
        A+ This body part contained a Power Point presentation that was
        A+ deleted upon your request.
        A+ --------------030308070208000400050903--
        A+ )
        A< T OK [APPENDUID <n:v> 4] APPEND completed.
        A> SELECT Drafts
        A< ...
        A< T OK ...
        A> UID FETCH 4 (BODY.PEEK[1] BODY.PEEK[2])
        A< * 4 FETCH (UID 4 BODY[1] {13}
        A< The schedule. BODY[2] {<n>}
        A< This body part contained a Power Point presentation that was
        A< deleted upon your request.)
        A< T OK ...
    """,
    # The RFC's example quotes the URL, which its grammar (url-resp-text, 5) has without quotes: so it is told here.
    "rfc4469-A example 4, a digest of which one message is not there": """
        A> CREATE Sent
        A< T OK ...
        A> STATUS INBOX (UIDVALIDITY)
        A< * STATUS INBOX (UIDVALIDITY <n:v>)
        A< T OK ...
        A> APPEND Sent (\\Seen $MDNSent) CATENATE (TEXT {540}
        A< + Ready for the literal.
        A+ Return-Path: <foo@example.org>
        A+ Received: from [127.0.0.2]
        A+           by rufus.example.org via TCP (internal) with ESMTPA;
        A+           Thu, 11 Nov 2004 16:57:07 +0000
        A+ Message-ID: <419399E1.6000505@example.org>
        A+ Date: Thu, 21 Nov 2004 16:57:05 +0000
        A+ From: Farren Oo <foo@example.org>
        A+ X-Accept-Language: en-us, en
        A+ MIME-Version: 1.0
        A+ To: bar@example.org
        A+ Subject: Digest of the mailing list for today
        A+ Content-Type: multipart/digest;
        A+               boundary="------------030308070208000400050904"
        A+
        A+ --------------030308070208000400050904
        A+  URL "<inbox>/;UID=1" TEXT {42}
        A< + Ready for the literal.
        A+
        A+ --------------030308070208000400050904
        A+  URL "<inbox>/;UID=113330/;section=1.5.9" TEXT {42}
        A< + Ready for the literal.
        A+
        A+ --------------030308070208000400050904
        A+  URL "<inbox>/;UID=2" TEXT {44}
        A< + Ready for the literal.
        A+
        A+ --------------030308070208000400050904--
        A+ )
        A< T NO [BADURL <inbox>/;UID=113330/;section=1.5.9] ...
        A> STATUS Sent (MESSAGES)
        A< * STATUS Sent (MESSAGES 0)
        A< T OK ...
    """,
    # The RFC's examples tell the new message first and then the removal, which gives the same numbers: nothing there
    # says which comes first.
    "rfc8508-3.2 and 3.3 a draft is replaced, and what replaced it": """
        A> SELECT Drafts
        A< ...
        A< * OK [UIDVALIDITY <n:v>] ...
        A< ...
        A< T OK ...
        A> FETCH 2 EMAILID
        A< * 2 FETCH (EMAILID (<id:first>))
        A< T OK ...
        A> REPLACE 2 Drafts (\\Seen \\Draft) {312}
        A< + Ready for the literal.
        A+ Date: Thu, 1 Jan 2015 00:05:00 -0500 (EST)
        A+ From: Fritz Schmidt <fritz.ze@example.org>
        A+ Subject: happy new year !!
        A+ To: miss.mitzy@example.org
        A+ Message-Id: <B238822388-0100000@example.org>
        A+ MIME-Version: 1.0
        A+ Content-Type: TEXT/PLAIN; CHARSET=US-ASCII
        A+
        A+ Just saw the best fireworks show. Wish you were here.
        A+
        A+
        A< * OK [APPENDUID <n:v> 4] ...
        A< * 2 EXPUNGE
        A< * 3 EXISTS
        A< * 3 RECENT
        A< T OK REPLACE completed.
        A> UID REPLACE 4 Drafts (\\Seen \\Draft) {350}
        A< + Ready for the literal.
        A+ Date: Thu, 1 Jan 2015 00:06:00 -0500 (EST)
        A+ From: Fritz Schmidt <fritz.ze@example.org>
        A+ Subject: happy new year !!
        A+ To: miss.mitzy@example.org
        A+ Message-Id: <B238822389-0100000@example.org>
        A+ MIME-Version: 1.0
        A+ Content-Type: TEXT/PLAIN; CHARSET=US-ASCII
        A+
        A+ Just saw the best fireworks show. Wish you were here.
        A+ Hopefully next year you can join us.
        A+
        A+
        A< * OK [APPENDUID <n:v> 5] ...
        A< * 3 EXPUNGE
        A< * 3 EXISTS
        A< * 3 RECENT
        A< T OK REPLACE completed.
        # RFC 8508 4.6: another message, another identity
        A> SEARCH EMAILID <id:first>
        A< * SEARCH
        A< T OK ...
        A> FETCH 1:* (UID FLAGS)
        A< * 1 FETCH (UID 1 FLAGS (\\Recent))
        A< * 2 FETCH (UID 3 FLAGS (\\Recent))
        A< * 3 FETCH (UID 5 FLAGS (\\Seen \\Draft \\Recent))
        A< T OK ...
    """,
    "rfc8508-4.2 a message is completed": """
        A> SELECT Drafts
        A< ...
        A< * OK [UIDVALIDITY <n:v>] ...
        A< ...
        A< T OK ...
        A> UID REPLACE 1 Drafts CATENATE (TEXT {71}
        A< + Ready for the literal.
        A+ To: Mitzy <miss.mitzy@example.org>
        A+ Subject: My view of the fireworks
        A+  URL "/Drafts/;UID=1")
        A< * OK [APPENDUID <n:v> 4] ...
        A< * 1 EXPUNGE
        A< * 3 EXISTS
        A< * 3 RECENT
        A< T OK REPLACE completed.
        A> UID FETCH 4 (BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT)] BODY.PEEK[1])
        A< * 3 FETCH (UID 4 BODY[HEADER.FIELDS (FROM TO SUBJECT)] {124}
        A< To: Mitzy <miss.mitzy@example.org>
        A< Subject: My view of the fireworks
        A< From: Bob Ar <bar@example.org>
        A< Subject: Our trip
        A<
        A<  BODY[1] {13}
        A< The schedule.)
        A< T OK ...
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        world.engine._quota_default = Quota(10_000_000)
        await world.add(b"one", b"two")
        await world.client(b"CREATE Drafts")
        for message in (DRAFT, ATTACHMENT, SLIDES):
            await world.file(message.replace("\n", "\r\n").encode(), mailbox="Drafts")
        text = CASES[name].replace("<drafts>", "/Drafts;UIDVALIDITY=<n:v>")
        await Transcript(world).play(text.replace("<inbox>", "/INBOX;UIDVALIDITY=<n:v>"))

    run(scenario)
