"""Drivers carry out the steps of a test in a browser; `orchestra.drivers` is their registry.

A driver's module has `driver(environment)`, which gives a `contract.Driver`. It is imported when the first test asks for
it: Playwright takes a quarter of a second to import, which a worker that only sends requests need not pay.
"""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Mapping
from types import ModuleType

from orchestra import plugins
from orchestra.drivers import DRIVERS, DriverKind
from orchestra.errors import UsageError
from orchestra.plan import Method
from orchestra.runtime.driver.contract import Driver


def _imported(module: str) -> ModuleType:
    """Import a module, which is no garbage: the collector of cycles searches it neither now nor later.

    With the MCP client that saves 20 ms of 620 at the start; later searches have less to look at.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def load(method: Method, environment: Mapping[str, str], root: str | os.PathLike[str]) -> Driver:
    """Return the driver of a method.

    Args:
        method: of the plan.
        environment: of the worker.
        root: the project root; no plug-in is loaded from there.

    Raises:
        PluginError: a plug-in cannot be loaded.
        UsageError: the driver carries out no steps on a page.
    """
    if not method.plugin:
        kind = DRIVERS.get(method.driver)
        if kind is None or not kind.module:
            raise UsageError(f'the driver "{method.driver}" carries out no steps on a page')
        made: Driver = _imported(kind.module).driver(environment)
        return made
    kind = plugins.load("driver", method.driver, method.plugin, DriverKind, root)
    title = f'the driver "{method.driver}" of the plug-in "{method.plugin}"'
    driver: Driver = plugins.imported(f"{kind.module}:driver", title, root)(environment)
    return driver
