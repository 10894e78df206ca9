"""Write `orchestra/devices.json` from the installed Playwright: `python -m scripts.devices`, after a change of the lock."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import sync_playwright

FILE = Path(__file__).resolve().parent.parent / "orchestra" / "devices.json"


def text() -> str:
    """Return the descriptors, one line for each device."""
    with sync_playwright() as playwright:
        known = playwright.devices
    rows = []
    for name, device in sorted(known.items()):
        size = device["viewport"]
        kept = {
            "user_agent": device["user_agent"],
            "viewport": [size["width"], size["height"]],
            "device_scale_factor": float(device["device_scale_factor"]),
            "is_mobile": device["is_mobile"],
            "has_touch": device["has_touch"],
        }
        rows.append(f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(kept, ensure_ascii=False)}")
    return "{\n" + ",\n".join(rows) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
