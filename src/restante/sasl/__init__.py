"""SASL mechanisms as state machines, server and client side: octets in, octets out, no socket and no store."""
