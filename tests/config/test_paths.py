"""Where data and sockets are kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from restante.config.listen import MAX_UNIX_PATH
from restante.config.paths import (
    FolderRefusal,
    data_directory,
    leave_run_directory,
    make_data,
    run_directory,
    run_folder,
)


@pytest.mark.parametrize(
    ("environ", "platform", "root", "expected"),
    [
        pytest.param({"HOME": "/home/a"}, "linux", False, "/home/a/.local/share/restante", id="xdg-default"),
        pytest.param({"HOME": "/home/a", "XDG_DATA_HOME": "/d"}, "linux", False, "/d/restante", id="xdg"),
        pytest.param(
            {"HOME": "/home/a", "XDG_DATA_HOME": "d"},
            "linux",
            False,
            "/home/a/.local/share/restante",
            id="xdg-relative",
        ),
        pytest.param(
            {"HOME": "/Users/a"}, "darwin", False, "/Users/a/Library/Application Support/restante", id="macos"
        ),
        pytest.param({"HOME": "/root"}, "linux", True, "/var/lib/restante", id="root"),
    ],
)
def test_data_directory(environ: dict[str, str], platform: str, root: bool, expected: str) -> None:
    assert data_directory(environ, platform=platform, root=root) == Path(expected)


def test_a_new_data_folder_is_private(tmp_path: Path) -> None:
    data = make_data(tmp_path / "a" / "b")
    assert data.stat().st_mode & 0o777 == 0o700


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderRefusal, match="--data"):
        make_data(tmp_path / "file" / "data")


def test_sockets_of_a_long_data_path_get_a_short_private_folder(tmp_path: Path) -> None:
    data = tmp_path / ("x" * 120)
    run = run_directory(data)
    try:
        assert len(os.fsencode(run / "worker-4194304.status")) <= MAX_UNIX_PATH
        assert run.stat().st_mode & 0o077 == 0
        assert run_directory(data) == run
        assert run_directory(tmp_path / ("y" * 120)) != run
    finally:
        run.rmdir()
        run_directory(tmp_path / ("y" * 120)).rmdir()


def test_a_short_folder_goes_with_the_last_socket_in_it(tmp_path: Path) -> None:
    data = tmp_path / ("x" * 120)
    run = run_directory(data)
    socket = run / "worker-1.status"
    socket.touch()
    leave_run_directory(data)
    assert run.is_dir(), "somebody listens there"
    socket.unlink()
    leave_run_directory(data)
    assert not run.exists()
    leave_run_directory(data)
    assert run_folder(data) == data / "run"


def test_a_short_data_path_keeps_its_sockets() -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert run_directory(Path(folder)) == Path(folder) / "run"
