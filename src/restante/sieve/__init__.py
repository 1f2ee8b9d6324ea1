"""Sieve, a language of mail filters (RFC 5228): so far its tests alone, as a form of the one query language.

- `grammar.read_test(text)`: tokens and syntax.
- `tests.parse_test(text) -> Query`: what a test asks.

Pure: must not know mailboxes, a store, or who asks.
"""
