"""What an S3 server's answers mean: to be tried again, or one line and what to do. Pure.

obstore hands out the answer's status and body as text; the codes in it are those of S3's error responses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import LocationFailed, NoRoom

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")

FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "InsufficientCapacity", "StorageFull"}
PASSING = {408, 425, 429, 500, 502, 503, 504, 509}
PASSING_CODES = {
    "SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "ConditionalRequestConflict",
    "OperationAborted", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch",
}  # fmt: skip
"""Codes of answers that another try may change, whatever their status."""
UNABLE = {"NotImplemented", "MethodNotAllowed"}

SAID = {
    "NoSuchBucket": ("There is no such bucket.", "Check its name, or make it with your provider's tools."),
    "InvalidBucketName": ("The server takes this for no name of a bucket.", "Check the location."),
    "InvalidAccessKeyId": ("The server does not know the access key.", "Check backup.credentials_file."),
    "SignatureDoesNotMatch": ("The secret key is not the access key's.", "Check backup.credentials_file."),
    "ExpiredToken": ("The credentials have expired.", "Get new ones."),
    "InvalidToken": ("The credentials' session token is wrong.", "Get new ones."),
    "RequestTimeTooSkewed": ("This machine's clock and the server's differ by too much.", "Set the clock (NTP)."),
    "AccessDenied": ("The server denies it.", "Let these credentials list, read and write there."),
    "AllAccessDisabled": ("The bucket is disabled.", "Ask your provider."),
    "AuthorizationHeaderMalformed": ("The bucket is in another region.", "Set backup.region."),
    "PermanentRedirect": ("The bucket is in another region.", "Set backup.region, or backup.endpoint."),
    "IllegalLocationConstraintException": ("The bucket is in another region.", "Set backup.region."),
}
STATUSES = {
    301: SAID["PermanentRedirect"],
    307: SAID["PermanentRedirect"],
    401: ("The server does not accept the credentials.", "Check backup.credentials_file."),
    403: ("The server denies it.", "Check the credentials, and that they may list, read and write there."),
}
UNTRUSTED = "ertificate"
CAUSES = (
    (UNTRUSTED, "Its certificate is not trusted.", "Check backup.endpoint, and the certificate's chain."),
    ("dns error", "Its name is not found.", "Check backup.endpoint, and this machine's network."),
    ("onnection refused", "Nothing answers there.", "Check backup.endpoint, and whether the server runs."),
    ("169.254.169.254", "There are no credentials, and this machine has no role.", "Set backup.credentials_file."),
    ("timed out", "It does not answer in time.", "Check the network, and run it again."),
    ("TimedOut", "It does not answer in time.", "Check the network, and run it again."),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a failure. status: 0 where no answer came. code: S3's, "" where it gave none."""

    status: int
    code: str
    text: str

    @classmethod
    def of(cls, text: str) -> Answer:
        status, code = _STATUS.search(text), _CODE.search(text)
        return cls(int(status[1]) if status else 0, code[1] if code else "", text)

    @property
    def passing(self) -> bool:
        """Whether another try may succeed."""
        if self.code in FULL or self.status in (501, 507):
            return False
        if self.status == 0 and UNTRUSTED in self.text:
            return False
        return self.status == 0 or self.status in PASSING or self.code in PASSING_CODES

    @property
    def unable(self) -> bool:
        """Whether the server does not know what was asked of it."""
        return self.status in (501, 405) or self.code in UNABLE

    @property
    def out_of_range(self) -> bool:
        return self.status == 416

    def refusal(self, url: str, name: str, kind: type[LocationFailed] = LocationFailed) -> LocationFailed:
        """For a person. url: the location's. name: of the object. kind: of what is no lack of room."""
        if self.code in FULL or self.status == 507:
            return NoRoom(f"There is no room at {url}.", "Free some space there, or raise its quota, and run it again.")
        what = f"{url} cannot be used ({name or 'listing'}): "
        if said := SAID.get(self.code) or STATUSES.get(self.status):
            return kind(what + said[0], said[1])
        if self.status:
            return kind(f"{what}it answers {self.status} {self.code}".rstrip() + ".", "Run it again later.")
        for mark, text, remedy in CAUSES:
            if mark in self.text:
                return kind(what + text, remedy)
        return kind(f"{what}the connection failed.", "Check the network, and run it again.")
