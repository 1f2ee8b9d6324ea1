"""The side of a copy that is an account of a Restante store.

- `side`: the `Side` itself; imports little, since most runs find nothing to do and only take a `glance`.
- `reading`: what is there and what changed, from stored columns. `filing`: new mail, analysed and appended in groups.
- `opening`: from a data folder to a side; the only module here that knows which engine there is.
"""

from .opening import Opened, open_local
from .side import LocalSide

__all__ = ["LocalSide", "Opened", "open_local"]
