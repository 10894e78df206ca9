"""`python -m orchestra` is `orchestra`."""

from __future__ import annotations

import sys

if not sys.flags.safe_path:
    # `-m` puts the working folder first on the path, where files of the project would stand for modules of Python.
    del sys.path[0]

from orchestra.start import main

if __name__ == "__main__":
    main()
