"""Listeners, workers, TLS, limits, logs: puts the rooms together and runs them. Nothing but cli imports it."""
