"""The authorities that a browser trusts on top of its own: a home folder with a certificate store, for Chromium on Linux."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from orchestra.engines import ENGINES
from orchestra.errors import UsageError
from orchestra.runtime.browsers.finder import Browser


class Trust:
    """Holds the home folder, which is removed with the driver."""

    def __init__(self) -> None:
        self._home: TemporaryDirectory[str] | None = None

    def options(self, browser: Browser, environment: Mapping[str, str], root: str, ca_file: str) -> dict[str, Any]:
        """Return the launch options by which a browser trusts the certificates of a file; none without a file.

        Raises:
            UsageError: this browser cannot be given any, or the file cannot be used.
        """
        if not ca_file:
            return {}
        if not ENGINES[browser.engine].trusts or sys.platform == "darwin":
            message = f"{browser.engine} on {sys.platform} cannot be given a ca_file"
            raise UsageError(message, "add the certificate to the system's own store, or use ignore_https_errors")
        # its library takes a tenth of a second, and few suites have certificates of their own
        from orchestra.runtime.browsers import nss  # noqa: PLC0415

        if self._home is None:
            self._home = TemporaryDirectory(prefix="orchestra-home-", ignore_cleanup_errors=True)
        home = Path(self._home.name)
        return {"env": nss.browser_environment(environment, home, Path(root), ca_file)}

    def close(self) -> None:
        """Remove the home folder."""
        if self._home is not None:
            self._home.cleanup()
        self._home = None
