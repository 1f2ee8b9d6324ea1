"""`python -m restante`: the same as the `restante` command."""

from .cli.entry import main

if __name__ == "__main__":
    main()
