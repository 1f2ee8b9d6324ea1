"""Restante: mail kept in one place, reached from everywhere."""

__version__ = "0.1.0"
