"""POP3 (RFC 1939 and its extensions): `session.Pop3Session` serves one connection; `grammar` has both sides' octets."""
