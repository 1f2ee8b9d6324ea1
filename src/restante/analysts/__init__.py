"""Analysis of messages for whoever files them: of many at once (an import, a first copy), and of one.

- `one`: on the event loop while it is brief, on a thread where it is not.
- `pool`: in a thread of this process while they are few, in processes beside it when they are many.
- `process`: such a process. It touches no file. `work`: what it is asked to do.
- `asking`: processes beside this one that are asked through pipes, a restore's too; `asked`: such a process's side.
"""
