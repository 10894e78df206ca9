"""Define the flags of the Playwright MCP server, for tests and for exploration by hand."""

from __future__ import annotations

SHARED = (
    "--timeout-settle=0",  # else every action waits half a second more
    "--timeout-action=5000",
    "--snapshot-mode=none",  # else every answer carries the whole page
    "--caps=testing,storage,network",
    "--no-webmcp",
    "--file-paths=absolute",
)
"""For every use."""

ATTACHED = (
    *SHARED,
    "--codegen=none",
    "--timeout-navigation=300000",  # the limit of a step is kept here
    "--image-responses=omit",  # a picture goes to its file alone
    # The steps come from the spec, not from a page: we check their paths, and `file:` pages are allowed.
    "--allow-unrestricted-file-access",
)
"""For a server that is attached to the browser of a run."""

RELEASE = """async (page) => {
  for (const key of ['Shift', 'Control', 'Alt', 'Meta']) await page.keyboard.up(key);
  for (const button of ['left', 'middle', 'right']) await page.mouse.up({ button });
}"""
"""Code for `browser_run_code_unsafe`: release what a call that was cut short has left pressed. Its server knows no other end
of it, and would hold the key in each later action on the page.
"""

OWN_PAUSE = """async (page) => {
  const tab = Object.getOwnPropertySymbols(page).map((key) => page[key]).find((one) => one?.waitForTimeout);
  if (tab) tab.constructor.prototype.waitForTimeout = async () => {};
  return !!tab;
}"""
"""Code for `browser_run_code_unsafe`: without it the server waits, at the end of most calls and although `--timeout-settle`
is 0, for a timer of the page itself. A page that has put a stand-in in the place of its timers would stop every call."""

BY_HAND = (
    "--headless",
    "--isolated",
    "--timeout-navigation=30000",
    *SHARED,
    "--codegen=typescript",  # an element named by a reference of a snapshot has its locator there alone
    "--save-session",  # for `orchestra record --from`
)
"""For a server that starts a browser of its own, with a profile that is forgotten."""
