"""`python -m doteval` is the command `doteval`."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
