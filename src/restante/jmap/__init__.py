"""JMAP (RFC 8620) for mail (RFC 8621): so far `filters`, what Email/query looks for."""
