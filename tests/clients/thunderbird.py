"""Thunderbird without a window, driven through Marionette: what a person clicks is asked of its own mail code.

Marionette is what Mozilla's own tests speak: frames of "octets:JSON" on a port that Thunderbird picks and writes into
its profile. A script sees Thunderbird's inside; `PRELUDE` has what the scripts share. Nothing here waits for a time:
what Thunderbird does in its own time is looked for with `see`.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
from types import TracebackType
from typing import Any, Self

from .support import PATIENCE, Reader, environment, program, until

Value = bool | int | str

QUIET: dict[str, Value] = {
    "marionette.port": 0,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "mail.rights.version": 1,
    "mailnews.start_page.enabled": False,
    "mail.shell.checkDefaultClient": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "app.donation.eoy.version.viewed": 999,
    "mail.biff.show_alert": False,
    "mail.biff.play_sound": False,
}
"""Nothing asks the network or the person anything."""

SPOKEN = re.compile(r"SendData: |CreateNewLineFromSocket: (\*|\+|\d+ (OK|NO|BAD)) ")
REFUSED = re.compile(r"CreateNewLineFromSocket: (\*|\d+) (NO|BAD|BYE) ")

PRELUDE = """
const {MailServices} = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = () => MailServices.accounts.accounts.map(a => a.incomingServer).find(s => s.type == "imap");
const root = () => server().rootFolder;
const folder = path => path.split("/").reduce((at, name) => at.getChildNamed(name), root());
const paths = (at, prefix) => at.subFolders.flatMap(f => [prefix + f.name, ...paths(f, prefix + f.name + "/")]);
const messages = path => [...folder(path).messages];
const message = (path, subject) => messages(path).find(m => m.mime2DecodedSubject == subject);
const tags = m => m.getStringProperty("keywords").split(" ").filter(word => word);
"""


class Thunderbird:
    """A running Thunderbird with the reader's account, as a context manager that ends it.

    The profile stays below the reader's home, so that the next one goes on where this one ended. At the end it is
    asserted that the server refused it nothing.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.profile = reader.home / "thunderbird"
        self.log = reader.home / "imap.moz_log"
        self.command = (
            *(program("thunderbird"), "--headless", "--marionette", "--remote-allow-system-access"),
            *("--profile", str(self.profile)),
        )
        self.count = 0
        self.socket: socket.socket | None = None

    def __enter__(self) -> Self:
        self.profile.mkdir(exist_ok=True)
        settings = QUIET | account(self.reader)
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in settings.items()]
        (self.profile / "user.js").write_text("".join(lines), "utf-8")
        port = self.profile / "MarionetteActivePort"
        port.unlink(missing_ok=True)
        told = {"MOZ_LOG": "IMAP:4,timestamp,sync", "MOZ_LOG_FILE": str(self.log.with_suffix(""))}
        with (self.reader.home / "thunderbird.out").open("ab") as out:
            self.process = subprocess.Popen(
                self.command, env=environment(self.reader.home) | told, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        try:
            until(lambda: port.exists() and port.read_text(), self.said)
            self.socket = socket.create_connection(("127.0.0.1", int(port.read_text())), timeout=PATIENCE)
            self.stream = self.socket.makefile("rb")
            self._frame()
            self._ask("WebDriver:NewSession")
            self._ask("Marionette:SetContext", value="chrome")
            self._ask("WebDriver:SetTimeouts", script=int(PATIENCE * 1000))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.run("Services.startup.quit(Ci.nsIAppStartup.eForceQuit);")
                self.process.wait(PATIENCE)
                assert not [line for line in self.lines() if REFUSED.search(line)], self.said()
        finally:
            self._end()

    def _end(self) -> None:
        if self.socket is not None:
            self.socket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def run(self, script: str, *args: Value) -> Any:
        """What the script returns, as JSON has it. Raises AssertionError with Thunderbird's own words."""
        return self._ask("WebDriver:ExecuteScript", script=PRELUDE + script, args=list(args))["value"]

    def wait(self, script: str, *args: Value) -> Any:
        """The same for a script that ends by calling `done(value)`, now or later."""
        body = PRELUDE + "const done = arguments[arguments.length - 1];\n" + script
        return self._ask("WebDriver:ExecuteAsyncScript", script=body, args=list(args))["value"]

    def see(self, script: str, expected: object, *args: Value) -> None:
        """Return when the script returns what is expected."""
        until(
            lambda: self.run(script, *args) == expected,
            lambda: f"{self.run(script, *args)!r}, not {expected!r}\n{self.said()}",
        )

    def said(self) -> str:
        """The last lines between Thunderbird and the server."""
        return "\n".join(self.lines()[-60:])

    def lines(self) -> list[str]:
        """Commands and answers, without the lines of messages."""
        if not self.log.exists():
            return []
        return [line for line in self.log.read_text("utf-8", "replace").splitlines() if SPOKEN.search(line)]

    def _ask(self, name: str, **parameters: object) -> Any:
        self.count += 1
        data = json.dumps([0, self.count, name, parameters]).encode()
        assert self.socket is not None, "not started"
        self.socket.sendall(b"%d:%b" % (len(data), data))
        _, number, error, result = self._frame()
        assert number == self.count
        assert error is None, error
        return result

    def _frame(self) -> Any:
        length = b""
        while (octet := self.stream.read(1)) != b":":
            assert octet, self.said()
            length += octet
        return json.loads(self.stream.read(int(length)))


def account(reader: Reader) -> dict[str, Value]:
    """The preferences of an IMAP account, as Thunderbird's own dialogue leaves them, and of its local folders."""
    imap: dict[str, Value] = {
        "type": "imap",
        "hostname": reader.server.host,
        "port": reader.server.imap,
        "userName": reader.user,
        "name": reader.user,
        "socketType": 0,
        "authMethod": 3,
        "login_at_startup": False,  # the password is not there yet
        "check_new_mail": True,
        "offline_download": True,
        "directory-rel": "[ProfD]ImapMail/server1",
    }
    local: dict[str, Value] = {
        "type": "none",
        "hostname": "Local Folders",
        "userName": "nobody",
        "name": "Local Folders",
    }
    return {
        "mail.accountmanager.accounts": "account1,account2",
        "mail.accountmanager.defaultaccount": "account1",
        "mail.accountmanager.localfoldersserver": "server2",
        "mail.account.account1.server": "server1",
        "mail.account.account1.identities": "id1",
        "mail.account.account2.server": "server2",
        "mail.identity.id1.fullName": "Demo Reader",
        "mail.identity.id1.useremail": reader.user,
        "mail.identity.id1.valid": True,
        **{f"mail.server.server1.{name}": value for name, value in imap.items()},
        **{f"mail.server.server2.{name}": value for name, value in local.items()},
    }
