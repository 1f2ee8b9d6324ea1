"""The one TOML file: its keys as typed values, its check, its documentation, and where folders lie."""
