"""The DevTools protocol of a page between two tests: history, storage of sites and garbage, which Playwright does not reach."""

from __future__ import annotations

from collections.abc import Iterable

from playwright.async_api import CDPSession, Page

COLLECT_AFTER = 10
"""The number of tests after which the process of the page collects its garbage. Chromium waits much longer: after 250 tests
its process is four times as large, and spends half as much time again on a test.
"""


class Devtools:
    """The session of a page, opened for the first use and as long as the page: to open and close it costs as much as a use.

    Every method raises playwright.async_api.Error where the engine has no such protocol, or the page is closed.

    Args:
        page: whose session it is.

    Attributes:
        uses: how often the history was forgotten, that is, the number of tests.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session: CDPSession | None = None
        self.uses = 0

    async def _opened(self) -> CDPSession:
        if self._session is None:
            self._session = await self._page.context.new_cdp_session(self._page)
        return self._session

    async def forget_history(self) -> None:
        """Forget the pages that were left; after ten tests their garbage is collected."""
        session = await self._opened()
        await session.send("Page.resetNavigationHistory")
        self.uses += 1
        if self.uses % COLLECT_AFTER == 0:
            await session.send("HeapProfiler.collectGarbage")

    async def clear(self, origins: Iterable[str]) -> None:
        """Clear the storage of these sites, of every kind, and the cache of the browser."""
        session = await self._opened()
        for origin in origins:
            await session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        await session.send("Network.clearBrowserCache")
