"""The pictures of docs/lost-mail.md: what they show is done again, and says the same."""

from __future__ import annotations

import html
import importlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ..ports import free_port
from .pages import ROOT

PICTURES = ROOT / "docs" / "pictures"
PAGE = ROOT / "docs" / "lost-mail.md"
SHOWN = re.findall(r"\]\(pictures/(\S+?)\)", PAGE.read_text("utf-8"))
NEOMUTT = "NeoMutt 20220429"
"""Whose screens are drawn. Others lay theirs out in other ways."""


@pytest.fixture(scope="module")
def maker() -> Iterator[ModuleType]:
    sys.path.insert(0, str(PICTURES))
    try:
        yield importlib.import_module("make_lost_mail")
    finally:
        sys.path[:] = [entry for entry in sys.path if entry != str(PICTURES)]


def text_of(picture: str) -> str:
    """Its text without spaces, which an SVG has where its drawer liked; ids that depend on versions as one sign."""
    svg = (PICTURES / picture).read_text("utf-8")
    matrix = svg[svg.index('-matrix">') :]  # what stands before is the window's title
    return bare("".join(re.findall(r"<text [^>]*>([^<]*)</text>", matrix)))


def bare(text: str) -> str:
    text = re.sub(r"\bFrom\s+[0-9a-f]{8}\b|--undo\s+\d+", "#", html.unescape(text).replace("\xa0", " "))
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("name", ["curl", "operator", "rewind"])
def test_the_shells_answers_are_todays(maker: ModuleType, tmp_path: Path, name: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    world = maker.build(tmp_path, free_port(), free_port())
    with maker.serving(world):
        said = "".join(f"$ {command}\n{answer}" for command, answer in maker.shell(world, maker.SESSIONS[name]))
    assert text_of(f"lost-{name}.svg") == bare(said)


@pytest.mark.slow
def test_neomutt_finds_and_copies_as_it_is_drawn(maker: ModuleType, tmp_path: Path) -> None:
    for program in ("neomutt", "tmux"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    version = subprocess.run(["neomutt", "-v"], capture_output=True, text=True).stdout
    # A socket's path has room for about a hundred characters, which pytest's folders may fill.
    with maker.tempfile.TemporaryDirectory() as folder:
        world = maker.build(Path(folder), free_port(), free_port())
        with maker.serving(world):
            screens = dict(maker.neomutt(world))
    assert set(screens) == {"complete", "copy", "back"}
    assert maker.LOST in screens["back"]
    if version.startswith(NEOMUTT):
        for name, screen in screens.items():
            lines = maker.Text.from_ansi(screen).plain.splitlines()
            drawn = text_of(f"lost-mutt-{name}.svg")
            assert all(bare(line) in drawn for line in lines), (name, lines, drawn)
            assert sum(map(len, map(bare, lines))) > 100


@pytest.mark.parametrize("picture", SHOWN)
def test_pictures_are_small_and_tell_nothing_of_their_machine(picture: str) -> None:
    data = (PICTURES / picture).read_bytes()
    if picture.endswith(".png"):
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        assert data[25] == 3, "a palette"
        assert len(data) < 120_000
        assert not re.search(rb"tEXt|iTXt|zTXt|eXIf|tIME", data)
    else:
        assert ET.fromstring(data).tag.endswith("svg")
        assert not re.search(rb"/(?:tmp|root|work|home)\b|@font-face", data)


def test_every_picture_is_shown_somewhere() -> None:
    pages = "".join(page.read_text("utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    drawn = {path.name for path in PICTURES.iterdir() if path.suffix in (".png", ".svg")}
    assert {name for name in drawn if f"pictures/{name})" not in pages} == set()
    assert len(SHOWN) > 6
