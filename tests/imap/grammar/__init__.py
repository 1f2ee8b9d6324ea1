"""Tests of the IMAP grammar."""
