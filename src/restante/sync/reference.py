"""The reference of the file of copies as Markdown, made from `config`: `python -m restante.sync.reference`.

docs/sync-configuration.md is what this prints; a test compares them.
"""

from __future__ import annotations

import sys

from ..config.load import tables_of
from ..config.reference import table_text
from .config import CHOICES, RANGES, CopyTable

HEAD = """# Configuration of copies

Made from the code by `python -m restante.sync.reference`. `restante sync` reads one TOML file:
`~/.config/restante/sync.toml` (on macOS `~/Library/Application Support/restante/sync.toml`), or what `--config FILE`
names. `restante sync init NAME ...` adds a copy to it, and leaves all else in the file as it is. It has mode 0600,
since it may hold secrets; with a `refresh_token` in it, it is refused where others may read it. An unknown key or a
wrong value is refused with file, line and the key that was probably meant; so is a key that would do nothing, such as
`exclude` where mail comes by POP3.

Each copy is a table `[copy.NAME]`:

```
[copy.work]
imap = "imap.example.com"
user = "anna@example.com"
password_command = "pass show mail/work"
maildir = "~/Mail/work"

[copy.work.send]
smtp = "smtp.example.com"
```

Above all tables `data = "DIR"` may say where state, outbox and stores are kept (`--data DIR` comes before it; the
platform's data directory is used where neither is said). A server's port may be left out: 993, 995 and 465 with
implicit TLS, 143, 110 and 587 else. Sizes are octets, or text such as `"10 MB"`; durations are seconds, or text such as
`"30 s"`, `"5 m"`, `"14 d"`. A path may begin with `~`.

For the password one of `password_command`, `password_file`, `keyring` and the table `oauth2` is given. In
`[copy.NAME.send]` none of them need be, nor `user`: then they are the copy's own. Where sending has a token of its own
it stands in `[copy.NAME.send.oauth2]`.
"""


def reference() -> str:
    """Every table and key of a copy: default, meaning, least and greatest value."""
    parts = [HEAD, table_text(CopyTable(), CopyTable, "copy.NAME", CHOICES, RANGES)]
    for name, table in tables_of(CopyTable).items():
        parts.append(table_text(table(), table, f"copy.NAME.{name}", CHOICES, RANGES, (name,)))
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(reference())
