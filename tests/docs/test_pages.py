"""What the documents say exists: commands, options, keys, links, examples, printed lines."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from restante.cli.main import restante
from restante.cli.sync import SyncGroup
from restante.config.load import docs_of, parse, tables_of
from restante.config.model import Config
from restante.config.reference import reference
from restante.imap.commands import limit
from restante.imap.session.capabilities import after_login, before_login

from .pages import PAGES, ROOT, blocks, commands, inline

GUIDE = ROOT / "docs" / "operators-guide.md"
README = ROOT / "README.md"
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
KEYS = {f"{name}.{key}" for name, table in tables_of(Config).items() for key in docs_of(table)}


def test_the_written_configuration_reference_is_the_codes_own() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    assert written == reference(), "run: python -m restante.config.reference > docs/configuration.md"


def resolve(text: str) -> tuple[click.Command, list[str]]:
    """The command that a line names, and what follows its name."""
    words = [word for word in shlex.split(text) if word != "..."]
    command: click.Command = restante
    while isinstance(command, click.Group):
        while words and words[0] in ("--config", "--data"):
            del words[:2]
        if not words or words[0].startswith("-"):
            if not isinstance(command, SyncGroup):
                break
            words = [command.default, *words]
        found = command.get_command(click.Context(command), words[0].split("|")[0])
        if found is None and isinstance(command, SyncGroup):  # `restante sync COPY`
            words = [command.default, *words]
            continue
        assert found is not None, f"there is no command 'restante {text}'"
        command, words = found, words[1:]
    return command, words


@by_page
def test_every_command_exists_with_its_options(page: Path) -> None:
    for text in commands(page):
        command, words = resolve(text)
        known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert options <= known, f"restante {text}"


def test_commands_are_found_in_the_pages() -> None:
    assert "account add you@example.com" in commands(README)
    assert len(commands(GUIDE)) > 20


@by_page
def test_every_key_exists(page: Path) -> None:
    tables = "|".join(tables_of(Config))
    named = {text.split(" ")[0] for text in inline(page) if re.match(rf"(?:{tables})\.[a-z_0-9]+( =|$)", text)}
    named = {name for name in named if not name.endswith((".py", ".db", ".conf", ".sqlite"))}
    assert named - KEYS - MODULES == set()
    for block in blocks(page, "toml"):
        parse(block, page.name)


MODULES = {"imap.grammar", "pop3.grammar"}
FILES = [
    f"/{path.relative_to(ROOT)}" for room in ("src", "tests", "bench", "docs") for path in (ROOT / room).rglob("*.py")
]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_files_and_classes_are_where_a_page_says(page: Path) -> None:
    """Whatever moves: `room/file.py`, or `file.Class` where the file is ours. The history tells of what was."""
    for text in inline(page):
        if re.fullmatch(r"[a-z_0-9/]+\.py", text):
            assert any(file.endswith(f"/{text}") for file in FILES), text
        elif match := re.fullmatch(r"([a-z_0-9.]+)\.([A-Z]\w+)", text):
            ends = tuple(f"/{match[1].replace('.', '/')}{end}" for end in (".py", "/__init__.py"))
            there = [(ROOT / file[1:]).read_text("utf-8") for file in FILES if file.endswith(ends)]
            named = re.compile(rf"^(?:class |def )?{match[2]}\b", re.MULTILINE)
            assert any(map(named.search, there)) or text in OTHERS, text


OTHERS = {"email.message.Message"}


@by_page
def test_internal_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if not target.startswith(("http:", "https:", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), target


def anchors(page: Path) -> set[str]:
    """What a link may name behind `#`: GitHub's names of the page's headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@by_page
def test_links_into_a_page_name_a_heading_of_it(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        if anchor and not target.startswith(("http:", "https:")):
            assert anchor in anchors(page.parent / name if name else page), target


@by_page
def test_no_path_of_a_builder_is_told(page: Path) -> None:
    assert not re.search(r"/(?:tmp|root|work)/|/home/(?!ann/)", page.read_text("utf-8"))


def test_the_readme_names_the_capabilities_that_are_announced() -> None:
    section = README.read_text("utf-8").partition("## What it speaks\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    written = re.findall(r"`([^`]+)`", "\n".join(rows))
    config = Config().imap
    after = after_login(config.literal_plus, 1, configured=limit.capability(config))
    before = before_login(config.literal_plus, starttls=True, plain=True, mechanisms=())
    # Numbers are the configuration's; the two dialects stand in the table's head.
    announced = {re.sub(r"(LIMIT)=\d+$", r"\1", name) for name in (before + b" " + after).decode("ascii").split()}
    assert len(written) == len(set(written))
    assert set(written) == announced - {"IMAP4rev1", "IMAP4rev2"}
    assert "IMAP4rev1, IMAP4rev2" in rows[0]


def test_python_examples_run(tmp_path: Path) -> None:
    """The fixture's examples pass as they are written; each is a file of its own."""
    examples = blocks(ROOT / "docs" / "testing.md", "python")
    assert len(examples[0].strip().splitlines()) == 12, "ten lines and an import"
    for number, example in enumerate(examples):
        (tmp_path / f"test_example_{number}.py").write_text(example, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert f"{len(examples)} passed" in done.stdout, done.stdout + done.stderr


def test_the_picture_and_its_session_hold() -> None:
    assert ET.parse(ROOT / "docs" / "pictures" / "session.svg").getroot().tag.endswith("svg")
    script = (ROOT / "docs" / "pictures" / "make_session.py").read_text("utf-8")
    compile(script, "make_session.py", "exec")
    for line in re.findall(r"restante ((?:serve|deliver|undelete|status) [^\"|>]*)", script):
        resolve(line.replace("2", ""))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[list[str], Path]]:
    """`restante serve --demo` on free ports: what it printed, and its log."""
    log = tmp_path / "log"
    free = [f"--listen={name}=127.0.0.1:0" for name in ("imap", "imaps", "pop3", "pop3s", "lmtp")]
    command = [sys.executable, "-m", "restante", "--data", str(tmp_path / "data"), "serve", "--demo", *free]
    with (
        log.open("wb") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            lines: list[str] = []
            while not lines or lines[-1] != "ready":
                line = server.stdout.readline()
                assert line, log.read_text("utf-8")
                lines.append(line.rstrip("\n"))
            yield lines, log
        finally:
            server.terminate()


def test_the_server_prints_and_logs_what_is_written(running: tuple[list[str], Path]) -> None:
    import poplib

    lines, log = running
    shape = [re.sub(r":\d+ +", ":PORT ", line) for line in lines]
    for page in (README, ROOT / "docs" / "tutorial.md"):
        shown = blocks(page, "console")[0].splitlines()[1:]
        assert [re.sub(r":\d+ +", ":PORT ", line) for line in shown] == shape
    port = int(next(re.findall(r":(\d+)", line)[0] for line in lines if line.startswith("pop3 ")))
    client = poplib.POP3("127.0.0.1", port)
    client.user("demo@example.org")
    with pytest.raises(poplib.error_proto):
        client.pass_("wrong")
    client.quit()
    failed = [line for line in log.read_text("utf-8").splitlines() if " auth failed " in line]
    assert len(failed) == 1
    pattern = next(re.findall(r"^failregex = (.*)$", block, re.MULTILINE) for block in blocks(GUIDE, "ini")[1:2])[0]
    # What fail2ban puts in: the prefix of a syslog line, which a file of ours has not, and an address.
    ours = pattern.replace("%(__prefix_line)s", r"(?:\S+ \d+ \S+ \S+ restante\[\d+\]: )?").replace("<HOST>", r"(\S+)")
    for line in (failed[0], f"Nov 23 19:08:30 mx restante[77]: {failed[0]}"):
        match = re.match(ours, line)
        assert match is not None
        assert match[1] == "127.0.0.1"
    assert not any(re.match(ours, line) for line in log.read_text("utf-8").splitlines() if line != failed[0])
