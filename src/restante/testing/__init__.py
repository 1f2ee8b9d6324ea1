"""What tests of Restante, and of projects that use it, stand on: an in-memory connection, a pytest plugin."""
