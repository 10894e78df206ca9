"""Serve a small shop, the subject of the pictures in docs/report.md.

    python shop.py PORT

The variable SHOP switches its faults on: `slow` or `crawling` for the answer about the stock, then `lost` for a discount that is
not given and an order that is refused once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOST = "lost" in os.environ.get("SHOP", "")
STOCK_SECONDS = {"slow": 0.6, "crawling": 20.0}.get(os.environ.get("SHOP", "").partition(",")[0], 0.05)
TOTAL = "6.00" if LOST else "5.40"
ORDERS: list[str] = []

STYLE = """
body { font: 17px/1.5 system-ui, "DejaVu Sans", sans-serif; margin: 0; color: #20242c; background: #f5f6f8 }
header { background: #1f3a5f; color: #fff; padding: 14px 40px; font-weight: 650; font-size: 20px }
nav { display: inline } nav a { color: #cfe0f5; margin-left: 24px; font-weight: 400; font-size: 16px }
main { padding: 24px 40px; max-width: 760px } ul { padding: 0 }
li, p { display: flex; justify-content: space-between }
li { background: #fff; border: 1px solid #dde1e8; border-radius: 8px; padding: 12px 16px; margin: 8px 0 }
button { font: inherit; background: #1f6f4a; color: #fff; border: 0; border-radius: 8px; padding: 10px 22px }
"""
PAGES = {
    "/": "<h1>Teas</h1><ul><li>Assam <b>2.00</b><li>Darjeeling <b>3.50</b><li>Sencha <b>4.00</b></ul>",
    "/basket": f"""<h1>Basket</h1><ul><li>Assam <b>2.00</b><li>Sencha <b>4.00</b></ul>
        <p><span>Discount for two teas</span><b>{"0.00" if LOST else "0.60"}</b></p>
        <p><span>Total</span><b data-testid=total>{TOTAL}</b></p>
        <button onclick="location.href = '/thanks'">Pay</button>""",
    "/thanks": "<h1>Thank you</h1><p data-testid=receipt>A receipt is on its way.</p>",
}


def page(content: str) -> str:
    """Return a page of the shop."""
    links = '<nav><a href="/">Teas</a><a href="/basket">Basket</a></nav>'
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>Tea house</title><style>{STYLE}</style>"
    return f"{head}<header>Tea house{links}</header><main>{content}</main>"


class Shop(BaseHTTPRequestHandler):
    """Answers with a page, or with JSON below /api."""

    def do_GET(self) -> None:
        """Answer a request."""
        if self.path == "/api/total":
            self._answer("application/json", json.dumps({"total": TOTAL, "items": 2}))
        elif self.path == "/api/stock":
            time.sleep(STOCK_SECONDS)
            self._answer("application/json", json.dumps({"assam": 12, "sencha": 3}))
        elif self.path == "/api/order":
            ORDERS.append(self.path)
            refused = LOST and len(ORDERS) == 1
            self._answer("application/json", json.dumps({"order": len(ORDERS)}), 503 if refused else 200)
        elif self.path in PAGES:
            self._answer("text/html; charset=utf-8", page(PAGES[self.path]))
        else:
            self.send_error(404)

    def _answer(self, kind: str, text: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
