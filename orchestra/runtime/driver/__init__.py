"""Drivers carry out the steps of a test in a browser. `MODULES` is their registry.

A driver's module has `driver(environment)`, which gives a `contract.Driver`. It is imported when the first test asks for
it: Playwright takes a quarter of a second to import, which a worker that only sends requests need not pay.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from orchestra.runtime.driver.contract import Driver

MODULES: dict[str, str] = {
    "mcp": "orchestra.runtime.driver.mcp.driver",
    "playwright": "orchestra.runtime.driver.playwright.driver",
}


def load(name: str, environment: Mapping[str, str]) -> Driver:
    """Return the driver of a method.

    Raises:
        KeyError: there is none of this name that carries out steps in a browser.
    """
    driver: Driver = importlib.import_module(MODULES[name]).driver(environment)
    return driver
