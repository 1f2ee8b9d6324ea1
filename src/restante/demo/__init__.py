"""The demo account and its mail: what a person sees who types `make serve` or `restante serve --demo`."""
