"""Domains, accounts, aliases, credentials: who may log in, how it is proved, and how guessers are slowed down."""
