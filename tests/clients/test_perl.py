"""Perl's Mail::IMAPClient, which imapsync and many scripts are built on: folders, searches, copies, IDLE, COMPRESS."""

from __future__ import annotations

import subprocess

import pytest

from .support import Reader, environment, program

pytestmark = pytest.mark.client

SCRIPT = r"""
use strict; use warnings; use Mail::IMAPClient;
my ($host, $port, $user, $password) = @ARGV;
sub login { Mail::IMAPClient->new(Server => $host, Port => $port, User => $user, Password => $password,
    Uid => 1, Peek => 1, Timeout => 30) or die "login: $@\n" }
my $c = login();
sub ok {
    my ($what, @got) = @_;
    die "$what: " . ($c->LastError // "nothing") . "\n" unless @got && defined $got[0];
    @got
}
my $name = 'Perl/Gr&APYA3w-e &- "x"';
ok create => $c->create($name); ok subscribe => $c->subscribe($name); ok exists => $c->exists($name);
ok append => $c->append_string($name, "Subject: from Perl\r\n\r\nhi\r\n", '\Seen Work', '17-Nov-2026 10:00:00 +0000');
ok select => $c->select('Languages');
print join(',', $c->messages), "\n", join(',', $c->sort('REVERSE DATE', 'UTF-8', 'ALL')), "\n";
my ($threads) = ok thread => $c->thread('REFERENCES', 'UTF-8', 'ALL'); print scalar(@$threads), "\n";
my $all = $c->fetch_hash('RFC822.SIZE', 'FLAGS', 'ENVELOPE', 'BODYSTRUCTURE', 'BODY[HEADER.FIELDS (SUBJECT)]');
print scalar(keys %$all), "\n";
for my $uid ($c->messages) {
    die "size of $uid" unless length($c->message_string($uid)) == $c->size($uid);
    die "structure of $uid" unless $c->get_bodystructure($uid)->parts && $c->get_envelope($uid)->date;
}
ok compress => $c->compress;
ok flag => $c->set_flag('Work', 1, 2); ok copy => $c->copy($name, 1, 2); ok move => $c->move($name, 3);
ok delete => $c->delete_message(4); ok expunge => $c->expunge;
print $c->message_count, "\n";
my $quota = $c->getquotaroot('INBOX'); ok acl => $c->getacl('INBOX');
my $other = login(); $c->idle or die "idle";
$other->append('Languages', "Subject: new\n\nx\n"); my $told = $c->idle_data(30); $c->done;
print grep({ /EXISTS/ } @$told) ? "told\n" : "not told\n";
ok close => $c->close; ok rename => $c->rename($name, 'Perl/N'); ok logout => $c->logout;
"""


def test_a_script_of_everything(demo: Reader) -> None:
    perl = program("perl")
    if subprocess.run([perl, "-MMail::IMAPClient", "-e1"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("Mail::IMAPClient (libmail-imapclient-perl) is not installed")
    before = demo.listing("Languages")
    script = demo.write("script.pl", SCRIPT)
    server = demo.server
    said = subprocess.run(
        [perl, str(script), server.host, str(server.imap), demo.user, demo.password],
        env=environment(demo.home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    lines = said.stdout.splitlines()
    numbers = [str(uid) for uid in range(1, len(before) + 1)]
    assert said.returncode == 0, said.stdout
    assert lines[0].split(",") == numbers
    assert sorted(lines[1].split(","), key=int) == numbers
    assert lines[2:] == [*[str(len(before))] * 2, str(len(before) - 2), "told"]
    assert [name for name, _ in demo.listing("Languages")] == [
        *(name for name, _ in [*before[:2], *before[4:]]),
        "new",
    ]
    filed = demo.flags("Perl/N")
    assert list(filed) == ["from Perl", *(name for name, _ in before[:3])]
    assert filed["from Perl"] == {r"\Seen", "Work"}
    assert "Work" in filed[before[0][0]]
