"""The market data of the sample application: fixed, invented, the same everywhere.

The table holds what a person chose; highs, lows, levels and history are derived from it by arithmetic and by a
generator that is seeded with the symbol, so that no clock, network or file takes part.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

SESSION = "2025-03-14"
SESSION_TITLE = "Friday, 14 March 2025"
HISTORY_LENGTH = 30
INDEXES = ("SPY", "QQQ", "DIA", "IWM")

# symbol, company, sector, previous close and last price in US dollars, volume and average volume in millions of
# shares, other names
_TABLE: tuple[tuple[str, str, str, float, float, float, float, tuple[str, ...]], ...] = (
    ("NVDA", "NVIDIA", "Semiconductors", 115.58, 121.67, 277.6, 301.2, ("nvidia",)),
    ("AAPL", "Apple", "Hardware", 209.68, 213.49, 60.1, 54.3, ("apple",)),
    ("MSFT", "Microsoft", "Software", 378.77, 388.56, 19.9, 22.4, ("microsoft",)),
    ("AMZN", "Amazon", "Retail", 193.89, 197.95, 38.1, 42.0, ("amazon",)),
    ("GOOGL", "Alphabet", "Internet", 162.76, 165.49, 35.6, 33.9, ("alphabet", "google")),
    ("META", "Meta Platforms", "Internet", 590.64, 607.60, 14.2, 15.1, ("meta platforms", "facebook")),
    ("TSLA", "Tesla", "Automobiles", 240.68, 249.98, 100.2, 108.8, ("tesla",)),
    ("AMD", "Advanced Micro Devices", "Semiconductors", 97.99, 100.97, 27.5, 38.7, ("advanced micro devices",)),
    ("INTC", "Intel", "Semiconductors", 23.70, 24.05, 151.9, 88.6, ("intel",)),
    ("AVGO", "Broadcom", "Semiconductors", 190.73, 195.54, 33.5, 31.0, ("broadcom",)),
    ("NFLX", "Netflix", "Media", 890.11, 918.00, 3.9, 4.2, ("netflix",)),
    ("DIS", "Walt Disney", "Media", 97.06, 98.62, 9.4, 9.9, ("walt disney", "disney")),
    ("JPM", "JPMorgan Chase", "Banks", 227.11, 232.44, 9.8, 10.3, ("jpmorgan chase", "jpmorgan", "jp morgan")),
    ("BA", "Boeing", "Aerospace", 158.90, 161.81, 7.1, 8.0, ("boeing",)),
    ("KO", "Coca-Cola", "Beverages", 69.76, 69.18, 15.6, 17.2, ("coca-cola", "coca cola", "coke")),
    ("WMT", "Walmart", "Retail", 85.42, 85.35, 22.9, 19.8, ("walmart",)),
    ("XOM", "Exxon Mobil", "Energy", 109.42, 111.61, 13.3, 15.4, ("exxon mobil", "exxonmobil", "exxon")),
    ("ORCL", "Oracle", "Software", 146.73, 149.27, 9.1, 10.6, ("oracle",)),
    ("PLTR", "Palantir", "Software", 79.51, 86.24, 98.8, 96.1, ("palantir",)),
    ("PFE", "Pfizer", "Pharmaceuticals", 25.94, 25.61, 34.4, 39.5, ("pfizer",)),
    ("SPY", "S&P 500", "Index fund", 551.42, 562.81, 62.7, 58.1, ("s&p 500", "s&p")),
    ("QQQ", "Nasdaq 100", "Index fund", 468.34, 479.66, 41.1, 38.2, ("nasdaq 100", "nasdaq")),
    ("DIA", "Dow Jones", "Index fund", 408.22, 414.93, 3.6, 3.3, ("dow jones", "dow")),
    ("IWM", "Russell 2000", "Index fund", 197.86, 202.87, 31.2, 29.4, ("russell 2000", "russell")),
)


@dataclass(frozen=True, slots=True)
class Quote:
    """One security at the close of the session. Prices in US dollars, volumes in shares, changes in per cent."""

    ticker: str
    name: str
    sector: str
    aliases: tuple[str, ...]
    price: float
    previous: float
    change: float
    change_percent: float
    open: float
    high: float
    low: float
    volume: int
    average_volume: int
    history: tuple[float, ...]

    def row(self) -> dict[str, Any]:
        """Return the row of a quote in a table."""
        return {
            "ticker": self.ticker,
            "name": self.name,
            "price": self.price,
            "change": self.change,
            "change_percent": self.change_percent,
            "volume": self.volume,
            "history": list(self.history),
        }


Market = dict[str, Quote]


def _history(symbol: str, previous: float, price: float) -> tuple[float, ...]:
    """Return the last `HISTORY_LENGTH` closes, the newest last: a seeded walk backwards from the two known closes."""
    dice = random.Random(f"{symbol} month")
    closes = [price, previous]
    drift = dice.uniform(-0.006, 0.006)
    while len(closes) < HISTORY_LENGTH:
        wave = 0.004 * math.sin(len(closes) / 3.5)
        closes.append(closes[-1] / (1 + drift + wave + dice.gauss(0, 0.011)))
    return tuple(round(close, 2) for close in reversed(closes))


def _quote(row: tuple[str, str, str, float, float, float, float, tuple[str, ...]]) -> Quote:
    symbol, name, sector, previous, price, volume, average, aliases = row
    dice = random.Random(f"{symbol} day")
    opened = round(previous + (price - previous) * dice.uniform(0.1, 0.5), 2)
    spread = price * dice.uniform(0.004, 0.012)
    return Quote(
        ticker=symbol,
        name=name,
        sector=sector,
        aliases=aliases,
        price=price,
        previous=previous,
        change=round(price - previous, 2),
        change_percent=round((price / previous - 1) * 100, 2),
        open=opened,
        high=round(max(opened, price) + spread * 0.4, 2),
        low=round(min(opened, price) - spread, 2),
        volume=round(volume * 1_000_000),
        average_volume=round(average * 1_000_000),
        history=_history(symbol, previous, price),
    )


def embedded() -> Market:
    """Return the table that ships with the application, by symbol, in the order in which it is shown."""
    return {row[0]: _quote(row) for row in _TABLE}


def problems(market: Market) -> list[str]:
    """Return the problems of a market, one line each; empty if it can be served."""
    return [problem for symbol, quote in market.items() for problem in _quote_problems(symbol, quote)] + [
        f"the index {symbol} is missing" for symbol in INDEXES if symbol not in market
    ]


def _quote_problems(symbol: str, quote: Quote) -> Iterable[str]:
    if symbol != quote.ticker or not symbol.isalpha() or symbol != symbol.upper():
        yield f"{symbol!r}: the symbol is not the ticker {quote.ticker!r} in capitals"
    if not all(
        math.isfinite(price) and price > 0 for price in (quote.price, quote.previous, quote.low, *quote.history)
    ):
        yield f"{symbol}: a price is not above 0"
    if not quote.low <= min(quote.open, quote.price) <= max(quote.open, quote.price) <= quote.high:
        yield f"{symbol}: open {quote.open} or price {quote.price} is outside low {quote.low} to high {quote.high}"
    if len(quote.history) != HISTORY_LENGTH or quote.history[-1] != quote.price:
        yield f"{symbol}: the history does not hold {HISTORY_LENGTH} closes that end at the price"


def to_json(market: Market) -> str:
    """Return the market as the text of a data file; `from_json` reads it back."""
    body = {"session": SESSION, "quotes": [asdict(quote) for quote in market.values()]}
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> Market:
    """Read a data file.

    Raises:
        ValueError: the text is no data file, or what it holds cannot be served.
    """
    try:
        rows = json.loads(text)["quotes"]
        quotes = [Quote(**{**row, "aliases": tuple(row["aliases"]), "history": tuple(row["history"])}) for row in rows]
        market = {quote.ticker: quote for quote in quotes}
        found = problems(market)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a market data file: {error!r}") from error
    if found:
        raise ValueError("; ".join(found))
    return market
