"""The devices that a page can be emulated on, by Playwright's names.

`devices.json` holds the descriptors of the Playwright version in the lock, without the browser that Playwright itself
would choose. It is a copy, so a plan has the same bytes with every allowed version. `python -m scripts.devices` renews it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources

import msgspec


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A descriptor: the size of the page in CSS pixels, its density, and how it presents itself."""

    user_agent: str
    viewport: tuple[int, int]
    device_scale_factor: float
    is_mobile: bool
    has_touch: bool


@functools.cache
def devices() -> Mapping[str, Device]:
    """Return each device by its name; read when a spec names one."""
    text = resources.files("orchestra").joinpath("devices.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, Device])
