"""Argon2id with several lanes: one at a time in a process.

OpenSSL works on the lanes in threads, as many as the derivation that came last allowed to the whole process, and none
once one has ended: two at once fail as if for want of memory, or wait for each other for ever (seen with cryptography
50). With one lane there are no threads, and any number at once is well.
"""

from __future__ import annotations

from _thread import allocate_lock  # threading's Lock, which is not loaded for it

ONE = allocate_lock()
"""Held by whoever derives with more than one lane."""
