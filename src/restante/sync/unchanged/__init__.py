"""A run that finds nothing to do, without all that a run needs which finds something.

A run that found everything the same on both sides, and did nothing, writes down what it asked and what it was told, to
the octet (`note`). The next run of that copy asks the same (`again`): where the server's answers, the copy here, the
state, the file of copies and the program are still as they were, what that run decided is what this one would decide,
and it ends, at a quarter of the cost: no event loop, no configuration read, no command line parsed. Whatever is not
exactly the same, or goes wrong in any way, is left to a whole run, which knows nothing of the attempt.

    whole run, nothing to do --note--> record        run finds something to do --forget--> no record
    record, all the same     --------> done          anything else --forget--> whole run

- `record`: what is written down, and the file it stands in. `line`: a few IMAP commands over a blocking socket.
- `secret`: a password command or file. `again`: the attempt. `note`: made of a whole run; the only part that may
  import what it likes.
"""
