"""From what a configuration or a command line says to a location and a key; and what of an installation goes along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import Random
from .errors import BackupRefusal, NotEmpty
from .folder import Folder
from .kept_folder import KeptFolder
from .kept_folder import is_kept as is_kept_folder
from .keys import Opening, is_writing_key, parse_key_file, parse_passphrase, parse_writing_key
from .location import Location

if TYPE_CHECKING:
    from ..config.model import BackupTable
    from .s3_settings import Remote

S3 = "s3://"
"""What names of buckets begin with."""


def location_of(said: str, random: Random, remote: Remote | None = None, *, keeper: bool = False) -> Location:
    """A folder, or a bucket (which is asked whether it is append-only). remote: what a configuration says of S3; None:
    nothing. keeper: where it is append-only, this is who may remove. Raises BackupRefusal."""
    if said.startswith(S3):
        from .s3 import Bucket
        from .s3_kept import KeptBucket, is_kept
        from .s3_settings import Remote, place_of

        bucket = Bucket(place_of(said, remote or Remote()), random)
        return KeptBucket(bucket, keeper=keeper) if is_kept(bucket) else bucket
    if "://" in said:
        raise BackupRefusal(
            f"{said} is no place for a backup.", "Backups lie in folders, or in buckets: s3://BUCKET/PREFIX."
        )
    return KeptFolder(Path(said), random) if is_kept_folder(Path(said)) else Folder(Path(said), random)


def made_append_only(location: Location) -> Location:
    """An empty location, append-only from now on. Raises BackupRefusal where what keeps it is not there."""
    from .s3 import Bucket
    from .s3_kept import KeptBucket, make_kept

    if location.append_only:
        return location
    if not isinstance(location, Bucket):
        raise BackupRefusal(
            "A folder is append-only where another user owns it.", "See 'Append-only' in the operator's guide."
        )
    for name, _ in location.names(""):
        raise NotEmpty(f"There is something at the backup's location already ({name}).", "Choose an empty place.")
    make_kept(location)
    return KeptBucket(location)


def remote_of(table: BackupTable) -> Remote:
    """What a configuration says of S3."""
    from .s3_settings import Remote

    return Remote(table.endpoint, table.region, table.credentials_file, table.allow_http)


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
