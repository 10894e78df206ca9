"""How the Playwright MCP server is told to behave, for tests and for people who explore by hand. May import nothing."""

from __future__ import annotations

SHARED = (
    "--timeout-settle=0",  # else every action waits half a second more
    "--timeout-action=5000",
    "--timeout-navigation=30000",
    "--snapshot-mode=none",  # else every answer carries the whole page
    "--codegen=none",
    "--caps=testing,storage,network",
    "--no-webmcp",
    "--file-paths=absolute",
)
"""For every use."""

ATTACHED = (
    *SHARED,
    "--image-responses=omit",  # a picture goes to its file alone
    # The steps come from the spec, not from a page: their paths are judged by us, and `file:` pages may be opened.
    "--allow-unrestricted-file-access",
)
"""For a server that is attached to the browser of a run."""

BY_HAND = ("--headless", "--isolated", *SHARED)
"""For a server that starts a browser of its own, with a profile that is forgotten."""
