"""Thunderbird itself, without a window: its own mail code reads, marks, files and searches, at a desk and disconnected.

Every outcome is looked at from the other side: what Thunderbird did by another connection, what others did in
Thunderbird. The server may refuse it nothing (`Thunderbird.__exit__`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .support import Reader, done, letter, only, quoted, until
from .thunderbird import Thunderbird

pytestmark = pytest.mark.client

LOGIN = """
const info = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
info.init(arguments[0], null, arguments[0], arguments[1], arguments[2], "", "");
Services.logins.addLoginAsync(info).then(() => done(null));
"""
SUBJECTS = "return messages(arguments[0]).map(m => m.mime2DecodedSubject)"
STATE = """
return messages(arguments[0]).map(m => [m.mime2DecodedSubject, m.isRead, m.isFlagged, tags(m)])
"""
OPEN = "folder(arguments[0]).updateFolder(null)"
ALL_HERE = "return messages(arguments[0]).every(m => folder(arguments[0]).hasMsgOffline(m.messageKey))"
DOWNLOAD = """
try {
    folder(arguments[0]).downloadAllForOffline(null, null);
    return true;
} catch (error) {
    if (error.result == 0x8055000a)
        return false;  // the folder is busy, it has just been opened
    throw error;
}
"""
TEXTS = """
return messages(arguments[0]).map(m => {
    const stream = folder(arguments[0]).getMsgInputStream(m, {});
    const binary = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
    binary.setInputStream(stream);
    return binary.readBytes(m.offlineMessageSize);
});
"""
"""The messages as they lie on the disk, each octet a character."""
ITS_OWN = re.compile(rb"\A(X-Mozilla-[^\r\n]*\n)+")
"""What it puts before each."""
COPY = """
const [from, subject, to, move] = arguments;
MailServices.copy.copyMessages(folder(from), [message(from, subject)], folder(to), move, null, null, false);
"""
FILE = """
const [path, to, draft] = arguments;
const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
file.initWithPath(path);
const listener = {
    onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; },
    onStopCopy(status) { done(status); },
    QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
};
const read = Ci.nsMsgMessageFlags.Read;
MailServices.copy.copyFileMessage(file, folder(to), null, draft, read, "", listener, null);
"""
SEARCH = """
const [where, word] = arguments;
const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
const term = session.createTerm();
term.attrib = Ci.nsMsgSearchAttrib.Body;
term.op = Ci.nsMsgSearchOp.Contains;
const value = term.value;
value.attrib = Ci.nsMsgSearchAttrib.Body;
value.str = word;
term.value = value;
session.appendTerm(term);
session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder(where));
const found = [];
session.registerListener({
    onNewSearch() {},
    onSearchHit(header) { found.push(header.messageKey); },
    onSearchDone() { done(found.toSorted((a, b) => a - b)); },
});
session.search(null);
"""
RECONNECT = """
Services.io.offline = false;
const manager = Cc["@mozilla.org/messenger/offline-manager;1"].getService(Ci.nsIMsgOfflineManager);
manager.goOnline(false, true, null);
"""


@pytest.fixture
def program(demo: Reader) -> Iterator[Thunderbird]:
    """Thunderbird with the demo account, its folders known and INBOX open."""
    with Thunderbird(demo) as running:
        begin(running)
        yield running


def begin(program: Thunderbird) -> None:
    """Give the password, wait for the folders and for INBOX."""
    reader = program.reader
    program.wait(LOGIN, f"imap://{reader.server.host}", reader.user, reader.password)
    program.run(OPEN, "INBOX")
    program.see("return paths(root(), '').toSorted()", sorted(mailboxes(reader)))
    program.see(SUBJECTS, reader.subjects(), "INBOX")


def mailboxes(reader: Reader) -> set[str]:
    """Names of all mailboxes, and of those that are only above others."""
    with reader.imap() as client:
        done(client.enable("UTF8=ACCEPT"))
        names = [line.decode().split(' "/" ')[1].strip('"') for line in done(client.list())]
    return {name[:end] for name in names for end in (*(at for at, c in enumerate(name) if c == "/"), len(name))}


def test_every_folder_arrives_octet_for_octet(program: Thunderbird) -> None:
    """Each folder is opened and kept for offline use; what Thunderbird has then is what the server keeps."""
    for name in sorted(mailboxes(program.reader)):
        with program.reader.imap() as client:
            status, (count,) = client.select(quoted(name), readonly=True)
            if status != "OK" or count == b"0":
                continue  # only a name above others, or empty
            kept = [item[1] for item in done(client.fetch("1:*", "(BODY.PEEK[])")) if isinstance(item, tuple)]
        program.run(OPEN, name)
        program.see("return messages(arguments[0]).length", len(kept), name)
        program.see(DOWNLOAD, True, name)  # by itself it leaves Junk out
        program.see(ALL_HERE, True, name)
        assert [ITS_OWN.sub(b"", text.encode("latin-1")) for text in program.run(TEXTS, name)] == kept


def test_what_it_does_is_seen_by_others(program: Thunderbird) -> None:
    reader = program.reader
    before = reader.flags()
    first, second, third, *_ = before
    program.run("folder('INBOX').markMessagesRead([message('INBOX', arguments[0])], true)", second)
    program.run("folder('INBOX').markMessagesFlagged([message('INBOX', arguments[0])], true)", second)
    program.run("folder('INBOX').addKeywordsToMessages([message('INBOX', arguments[0])], '$label2')", second)
    expected = before[second] | {r"\Seen", r"\Flagged", "$label2"}
    until(lambda: reader.flags()[second] == expected, program.said)
    program.run("folder('INBOX').markMessagesRead([message('INBOX', arguments[0])], false)", second)
    program.run("folder('INBOX').removeKeywordsFromMessages([message('INBOX', arguments[0])], '$label2')", second)
    expected -= {r"\Seen", "$label2"}
    until(lambda: reader.flags()[second] == expected, program.said)

    program.run(COPY, "INBOX", first, "Archive", False)
    until(lambda: first in reader.subjects("Archive"), program.said)
    program.run(COPY, "INBOX", third, "Projects/Boat", True)
    until(lambda: third in reader.subjects("Projects/Boat") and third not in reader.subjects(), program.said)
    program.run(
        "folder('INBOX').deleteMessages([message('INBOX', arguments[0])], null, false, true, null, false)", second
    )
    until(lambda: second in reader.subjects("Trash") and second not in reader.subjects(), program.said)
    assert reader.flags("Trash")[second] == expected, "it kept its flags"
    program.run("folder('Trash').emptyTrash(null)")
    until(lambda: reader.subjects("Trash") == [], program.said)


def idles_in_inbox(program: Thunderbird) -> bool:
    """Whether the last that it said there was IDLE. By its other connections it may go on speaking."""
    said: dict[str, str] = {}
    for line in program.lines():
        if found := re.search(r"IMAP (\w+):\S+:S-INBOX:SendData: (.*)", line):
            said[found[1]] = found[2].rstrip()
    return any(command.endswith(" IDLE") for command in said.values())


def test_what_others_do_is_told_while_it_idles(program: Thunderbird) -> None:
    reader = program.reader
    until(lambda: idles_in_inbox(program), program.said)
    reader.deliver(letter("Fresh from the MTA"))
    program.see(SUBJECTS, reader.subjects(), "INBOX")
    with reader.imap("INBOX") as other:
        uid = only(other, "SUBJECT", '"Fresh from the MTA"')
        done(other.uid("STORE", uid, "+FLAGS", r"(\Flagged \Seen $label3)"))
        state = ["Fresh from the MTA", True, True, ["$label3"]]
        until(lambda: state in program.run(STATE, "INBOX"), program.said)
        done(other.uid("STORE", uid, "+FLAGS", r"(\Deleted)"))
        done(other.expunge())
    program.see(SUBJECTS, reader.subjects(), "INBOX")


def test_folders_are_made_renamed_and_moved(program: Thunderbird) -> None:
    reader = program.reader
    program.run("root().createSubfolder('Grüße & 手紙', null)")
    until(lambda: "Grüße & 手紙" in mailboxes(reader), program.said)
    program.see("return root().containsChildNamed('Grüße & 手紙')", True)
    program.run(COPY, "INBOX", "Keywords", "Grüße & 手紙", False)
    program.run(OPEN, "Grüße & 手紙")
    program.see(SUBJECTS, ["Keywords"], "Grüße & 手紙")
    program.run("folder('Grüße & 手紙').createSubfolder('Below', null)")
    until(lambda: "Grüße & 手紙/Below" in mailboxes(reader), program.said)
    program.see("return folder('Grüße & 手紙').containsChildNamed('Below')", True)
    program.run("folder('Grüße & 手紙').rename('Ζαχαρίας', null)")
    until(
        lambda: {"Ζαχαρίας", "Ζαχαρίας/Below"} <= mailboxes(reader) and "Grüße & 手紙" not in mailboxes(reader),
        program.said,
    )
    program.see("return root().containsChildNamed('Ζαχαρίας') && folder('Ζαχαρίας').containsChildNamed('Below')", True)
    program.run("MailServices.copy.copyFolder(folder('Ζαχαρίας/Below'), folder('Trash'), true, null, null)")
    until(lambda: {"Ζαχαρίας", "Trash/Below"} <= mailboxes(reader) - {"Ζαχαρίας/Below"}, program.said)


def test_a_copy_is_filed_in_sent_and_a_draft_in_drafts(program: Thunderbird) -> None:
    reader = program.reader
    for mailbox, mark in (("Sent", r"\Seen"), ("Drafts", r"\Draft")):
        path = reader.home / f"{mailbox}.eml"
        path.write_bytes(letter(f"For {mailbox}", "Grüße\r\n"))
        assert program.wait(FILE, str(path), mailbox, mailbox == "Drafts") == 0
        with reader.imap(mailbox) as client:
            uid = only(client, "SUBJECT", f'"For {mailbox}"')
            (_, kept), _ = done(client.uid("FETCH", uid, "(BODY.PEEK[])"))
        assert kept == path.read_bytes()
        assert mark in reader.flags(mailbox)[f"For {mailbox}"]


def test_the_server_searches_for_it(program: Thunderbird) -> None:
    reader = program.reader
    with reader.imap("INBOX") as client:
        found = done(client.search(None, "BODY", '"Restante"'))[0].split()
    assert 0 < len(found) < len(reader.subjects())
    assert program.wait(SEARCH, "INBOX", "Restante") == [int(number) for number in found]


def test_what_happened_while_it_was_closed(demo: Reader) -> None:
    with Thunderbird(demo) as program:
        begin(program)
    subjects = demo.subjects()
    with demo.imap("INBOX") as other:
        done(other.store("1", "+FLAGS", r"(\Deleted)"))
        done(other.expunge())
        done(other.store("1", "FLAGS", r"(\Flagged $label4)"))
        done(other.store("2", "+FLAGS", r"(\Seen)"))
    demo.deliver(letter("Came meanwhile"))
    with Thunderbird(demo) as program:
        program.run(OPEN, "INBOX")
        program.see(SUBJECTS, [*subjects[1:], "Came meanwhile"], "INBOX")
        expected = {name: (r"\Seen" in flags, r"\Flagged" in flags) for name, flags in demo.flags().items()}
        until(
            lambda: {name: (read, flagged) for name, read, flagged, _ in program.run(STATE, "INBOX")} == expected,
            program.said,
        )
        assert "$label4" in program.run("return tags(messages('INBOX')[0])")


def test_work_done_disconnected_is_replayed(program: Thunderbird) -> None:
    reader = program.reader
    first, second, third, fourth, *_ = reader.subjects()
    program.see(ALL_HERE, True, "INBOX")
    program.run("Services.io.offline = true")
    program.run("folder('INBOX').markMessagesFlagged([message('INBOX', arguments[0])], true)", first)
    program.run("folder('INBOX').markMessagesRead([message('INBOX', arguments[0])], true)", third)
    program.run(COPY, "INBOX", second, "Archive", True)
    program.run(
        "folder('INBOX').deleteMessages([message('INBOX', arguments[0])], null, false, true, null, false)", fourth
    )
    before = reader.flags()
    with reader.imap("INBOX") as other:
        done(other.store("5", "+FLAGS", r"(\Answered)"))
    reader.deliver(letter("Came meanwhile"))
    program.run(RECONNECT)
    until(lambda: "Came meanwhile" in reader.subjects() and second in reader.subjects("Archive"), program.said)
    until(lambda: fourth in reader.subjects("Trash"), program.said)
    until(lambda: {second, fourth}.isdisjoint(reader.subjects()), program.said)
    until(lambda: r"\Flagged" in reader.flags()[first] and r"\Seen" in reader.flags()[third], program.said)
    assert len(reader.subjects()) == len(before) - 1
    program.run(OPEN, "INBOX")
    program.see(SUBJECTS, reader.subjects(), "INBOX")
