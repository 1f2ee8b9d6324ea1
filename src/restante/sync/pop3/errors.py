"""Why a fetch cannot go on. All are `SideUnavailable` (the run ends, others go on); `temporary` says whether trying
again, without anybody having changed anything, may help."""

from __future__ import annotations

from ...errors import Refusal
from ..side import SideUnavailable
from .settings import Report


class SourceUnavailable(SideUnavailable):
    """No network, a server that is gone or silent, [SYS/TEMP]: try again later."""

    code = "SOURCE-UNAVAILABLE"


class SourceRefused(SideUnavailable):
    """The server will not, and trying again will not change that: [SYS/PERM], no TLS, a certificate that is wrong."""

    code = "SOURCE-REFUSED"
    temporary = False


class LoginRefused(SideUnavailable):
    """Wrong user, password or token ([AUTH])."""

    code = "LOGIN-REFUSED"
    temporary = False


class MaildropInUse(SideUnavailable):
    """Somebody else has the maildrop open ([IN-USE], RFC 2449 8.1.2)."""

    code = "MAILDROP-IN-USE"


class LoginTooSoon(SideUnavailable):
    """The server wants more time between two logins ([LOGIN-DELAY]). delay: seconds, None if it does not say."""

    code = "LOGIN-TOO-SOON"

    def __init__(self, text: str, delay: int | None) -> None:
        super().__init__(text, "" if delay is None else f"It wants {delay} seconds between two logins.")
        self.delay = delay


class FetchInterrupted(SideUnavailable):
    """The connection, or the target, was lost in the middle. report: what had been done, which stays done; the next
    run goes on from there. Nothing was deleted on the server, unless it was lost between QUIT and its answer."""

    code = "FETCH-INTERRUPTED"

    def __init__(self, cause: Refusal, report: Report) -> None:
        super().__init__(cause.text, cause.remedy)
        self.temporary = cause.temporary
        self.report = report


class StateInUse(Refusal):
    """Another run uses this state."""

    code = "STATE-IN-USE"
    temporary = True


class StateUnusable(Refusal):
    """The state file is damaged, newer than this program, or something else."""

    code = "STATE-UNUSABLE"
