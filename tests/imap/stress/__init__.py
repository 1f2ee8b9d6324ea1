"""A server of several processes and a crowd of clients on shared mailboxes, each of which believes nothing."""
