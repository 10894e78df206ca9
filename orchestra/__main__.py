"""`python -m orchestra` is `orchestra`. May import `cli` only."""

from __future__ import annotations

from orchestra.cli import main

if __name__ == "__main__":
    main()
