"""Makes docs/pictures/thunderbird-*.png: Thunderbird finds what was lost below Backups/ and copies it back.

    .venv/bin/python docs/pictures/make_thunderbird.py

Needs Debian's thunderbird, xvfb, openbox, xdotool, imagemagick and pngquant. The screen is one of its own that nobody
sees. Where to click is said in points of this screen, as Thunderbird 153 ESR draws it with Debian's fonts: look at the
pictures afterwards. Nothing waits for a time to pass by itself; a step is over when the screen has come to rest.
"""

from __future__ import annotations

import imaplib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lost_mail import HOST, LOST, PASSWORD, USER, World, build, serving

HERE = Path(__file__).parent
WIDTH, HEIGHT = 1200, 620
IMAP, POP3 = 1143, 1110
PATIENCE = 60.0
LOOK = 0.5
"""Seconds between two looks at the screen; it rests when three in a row are the same."""
COLOURS = 96

PREFERENCES: dict[str, bool | int | str] = {
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
    "mail.accountmanager.accounts": "account1,account2",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.accountmanager.localfoldersserver": "server2",
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.account.account2.server": "server2",
    "mail.identity.id1.fullName": "Ann Lee",
    "mail.identity.id1.useremail": USER,
    "mail.identity.id1.valid": True,
    "mail.server.server1.type": "imap",
    "mail.server.server1.hostname": HOST,
    "mail.server.server1.port": IMAP,
    "mail.server.server1.userName": USER,
    "mail.server.server1.name": USER,
    "mail.server.server1.socketType": 0,
    "mail.server.server1.authMethod": 3,
    "mail.server.server1.login_at_startup": True,
    "mail.server.server1.offline_download": False,  # or it downloads all nights, unasked
    "mail.server.server1.using_subscription": False,  # what the first picture shows
    "mail.server.server2.type": "none",
    "mail.server.server2.hostname": "Local Folders",
    "mail.server.server2.userName": "nobody",
    "mail.server.server2.name": "Local Folders",
}


class Screen:
    """An X server with a window manager. display: its name."""

    def __init__(self, display: str, environment: dict[str, str]) -> None:
        self.environment = environment | {"DISPLAY": display}

    def run(self, *argv: str) -> bytes:
        done = subprocess.run(argv, env=self.environment, stdout=subprocess.PIPE, timeout=PATIENCE, check=True)
        return done.stdout

    def rest(self) -> bytes:
        """Wait until nothing moves any more; what is to be seen then, as PNG."""
        end = time.monotonic() + PATIENCE
        seen = [self._look()]
        while seen[-3:].count(seen[-1]) < 3:
            assert time.monotonic() < end, "the screen never comes to rest"
            time.sleep(LOOK)
            seen = [*seen[-2:], self._look()]
        return self.run("import", "-window", "root", "png:-")

    def _look(self) -> bytes:
        return self.run("import", "-window", "root", "ppm:-")

    def window(self, title: str) -> None:
        """Wait for a window of this title, and give it the keyboard."""
        end = time.monotonic() + PATIENCE
        while True:
            found = subprocess.run(
                ["xdotool", "search", "--name", title], env=self.environment, capture_output=True, text=True
            ).stdout.split()
            if found:
                self.run("xdotool", "windowfocus", "--sync", found[0])
                return
            assert time.monotonic() < end, f"no window {title}"
            time.sleep(LOOK)

    def click(self, x: int, y: int, button: int = 1, times: int = 1) -> None:
        self.run("xdotool", "mousemove", str(x), str(y), "click", "--repeat", str(times), str(button))
        self.rest()

    def key(self, *names: str) -> None:
        self.run("xdotool", "key", *names)
        self.rest()

    def draw(self, name: str, crop: str = "") -> None:
        """The screen, or WIDTHxHEIGHT+X+Y of it, as a small picture."""
        shown = self.rest()
        cut = ["-crop", crop, "+repage"] if crop else []
        whole = subprocess.run(["convert", "png:-", *cut, "-strip", "png:-"], input=shown, stdout=subprocess.PIPE,
                               check=True).stdout  # fmt: skip
        small = subprocess.run(["pngquant", str(COLOURS), "--speed", "1", "--strip", "-"], input=whole,
                               stdout=subprocess.PIPE, check=True).stdout  # fmt: skip
        (HERE / f"thunderbird-{name}.png").write_bytes(small)


@contextmanager
def screen(world: World) -> Iterator[Screen]:
    reading, writing = os.pipe()
    size = f"{WIDTH}x{HEIGHT}x24"
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", size, "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        try:
            os.close(writing)
            with os.fdopen(reading) as number:
                found = Screen(f":{int(number.readline())}", world.environment)
            with subprocess.Popen(["openbox"], env=found.environment, stderr=subprocess.DEVNULL) as manager:
                try:
                    yield found
                finally:
                    manager.terminate()
        finally:
            server.terminate()


@contextmanager
def thunderbird(world: World, on: Screen) -> Iterator[None]:
    """Thunderbird with Ann's account, its password given and Inbox shown."""
    profile = world.folder / "home" / "profile"
    profile.mkdir()
    lines = [f'user_pref("{name}", {_written(value)});\n' for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines), "utf-8")
    command = ["thunderbird", "--profile", str(profile)]
    with subprocess.Popen(command, env=on.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        try:
            on.window("Enter your password")
            on.rest()
            on.run("xdotool", "type", PASSWORD)
            on.key("Return")
            on.window("Inbox - ")
            yield
        finally:
            program.terminate()


def _written(value: bool | int | str) -> str:
    return str(value).lower() if isinstance(value, (bool, int)) else f'"{value}"'


def scenes(on: Screen) -> None:
    """What is clicked, and what is drawn of it."""
    on.click(128, 160)  # Inbox
    on.key("F8")  # no message pane: the list has the room
    on.click(92, 356)  # the first night is closed, which brings the second one up
    on.click(163, 468)  # its INBOX
    on.click(500, 293)  # the lost message
    on.draw("backups")
    on.click(500, 293, 3)
    on.click(541, 436)  # Copy To
    on.click(786, 494)  # the account
    on.draw("copy")
    on.click(947, 452)  # Inbox
    on.click(128, 160)
    on.draw("back")
    with imaplib.IMAP4(HOST, IMAP) as client:
        client.login(USER, PASSWORD)
        client.select("INBOX", readonly=True)
        assert client.search(None, "FLAGGED", "SUBJECT", f'"{LOST}"') == ("OK", [b"5"])
    on.click(WIDTH - 136, 42)  # the menu
    on.click(WIDTH - 318, 342)  # Account Settings
    on.click(154, 196)  # Server Settings
    on.click(640, 400, 5, 10)
    on.click(1021, 329)  # Advanced...
    on.draw("setting", "616x463+315+117")  # nothing of what is behind it: that tells a path of this machine


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = build(Path(folder), IMAP, POP3)
        with serving(world), screen(world) as on, thunderbird(world, on):
            scenes(on)


if __name__ == "__main__":
    sys.exit(main())
