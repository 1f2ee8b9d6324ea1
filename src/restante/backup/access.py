"""From what a configuration or a command line says to a location and a key; and what of an installation goes along."""

from __future__ import annotations

from pathlib import Path

from ..clock import Random
from .errors import BackupRefusal
from .folder import Folder
from .keys import Opening, is_writing_key, parse_key_file, parse_passphrase, parse_writing_key
from .location import Location


def location_of(said: str, random: Random) -> Location:
    """Raises BackupRefusal."""
    if "://" in said:
        raise BackupRefusal(f"{said} is no folder.", "Backups lie in folders; name one that is mounted here.")
    return Folder(Path(said), random)


def secret_of(passphrase_file: str | Path | None, key_file: str | Path | None) -> Opening | None:
    """The secret in the file that is named, None where none is. A writing key is a key file too. Raises
    BackupRefusal."""
    if passphrase_file:
        return parse_passphrase(_read(Path(passphrase_file)))
    if key_file:
        text = _read(Path(key_file)).decode("ascii", "replace")
        return parse_writing_key(text) if is_writing_key(text) else parse_key_file(text)
    return None


NOTES = "backup-notes"
"""Folder in the data folder: what is remembered of sealed backups, which cannot be read back."""


def installation_files(config: Path | None, data: Path) -> dict[str, bytes]:
    """The installation's files that go with it: its configuration, and the certificate that it made itself, which
    clients may have been told to trust. Raises BackupRefusal."""
    found = {"tls/certificate.pem": data / "tls" / "certificate.pem", "tls/key.pem": data / "tls" / "key.pem"}
    if config is not None:
        found["restante.toml"] = config
    return {name: _read(path) for name, path in found.items() if path.is_file()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BackupRefusal(f"{path} cannot be read ({error.strerror}).", "Check its name and rights.") from error
