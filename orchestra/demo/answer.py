"""The words and figures of a reply, as plain data.

Every function is pure: the same question about the same market has the same answer, to the character.
"""

from __future__ import annotations

from typing import Any

from orchestra.demo.market import INDEXES, SESSION_TITLE, Market, Quote
from orchestra.demo.parse import Question

Answer = dict[str, Any]
ANALYSES = ("snapshot", "levels", "trend")
_EXAMPLES = "Try “What is NVDA doing?”, “Compare Apple and Microsoft” or “Market status”."
_SIDEWAYS_PERCENT = 1.0
_BUSY_RATIO = 1.1
_QUIET_RATIO = 0.9


def answer(question: Question, market: Market, *, mutation: str = "") -> Answer:
    """Return the reply to a question: `kind`, `reply`, `tickers`, `rows` and `unknown`."""
    if question.tickers:
        tickers = question.tickers[:1] if mutation == "b006" else question.tickers
        return _quotes([market[ticker] for ticker in tickers], question.unknown)
    if question.unknown:
        names = _list([f"“{name}”" for name in question.unknown])
        return _reply("unknown", f"Sorry, I do not know {names}. {_EXAMPLES}", unknown=question.unknown)
    if question.status:
        return _status(market, () if mutation == "b004" else INDEXES)
    return _reply("help", f"I found no ticker and no company in that. {_EXAMPLES}")


def analysis(kind: str, quote: Quote) -> Answer:
    """One of `ANALYSES` of one ticker: like a reply, with `title` and `facts` (label and value, as they are shown).

    Raises:
        KeyError: there is no such analysis.
    """
    title, text, facts = {"snapshot": _snapshot, "levels": _levels, "trend": _trend}[kind](quote)
    facts_json = [{"label": label, "value": value} for label, value in facts]
    return {**_reply(kind, text, [quote]), "title": title, "facts": facts_json}


def _reply(kind: str, text: str, quotes: list[Quote] | None = None, unknown: tuple[str, ...] = ()) -> Answer:
    rows = [quote.row() for quote in quotes or []]
    return {
        "kind": kind,
        "reply": text,
        "tickers": [row["ticker"] for row in rows],
        "rows": rows,
        "unknown": list(unknown),
    }


def _quotes(quotes: list[Quote], unknown: tuple[str, ...]) -> Answer:
    if len(quotes) == 1:
        quote = quotes[0]
        text = (
            f"{quote.name} ({quote.ticker}) closed at {_money(quote.price)}, {_move(quote)} on the day, "
            f"on {_volume(quote.volume)} shares: {_activity(quote)}."
        )
    else:
        ranked = sorted(quotes, key=lambda quote: (-quote.change_percent, quote.ticker))
        best, worst = ranked[0], ranked[-1]
        text = (
            f"{_list([quote.ticker for quote in quotes])} compared: "
            f"{best.ticker} leads with {_percent(best.change_percent)}, "
            f"{worst.ticker} trails with {_percent(worst.change_percent)}."
        )
    if unknown:
        text += f" I do not know {_list([f'“{name}”' for name in unknown])}."
    return _reply("quotes", text, quotes, unknown)


def _status(market: Market, indexes: tuple[str, ...]) -> Answer:
    quotes = [market[symbol] for symbol in indexes]
    stocks = [quote for quote in market.values() if quote.ticker not in INDEXES]
    rising = sum(quote.change > 0 for quote in stocks)
    parts = [f"{quote.name} {_percent(quote.change_percent)}" for quote in quotes]
    lead = f"Markets closed on {SESSION_TITLE}. "
    return _reply(
        "status", f"{lead}{', '.join(parts)}{'. ' if parts else ''}{rising} of {len(stocks)} stocks rose.", quotes
    )


def _snapshot(quote: Quote) -> tuple[str, str, list[tuple[str, str]]]:
    facts = [
        ("Last", _money(quote.price)),
        ("Change", _move(quote)),
        ("Open", _money(quote.open)),
        ("Range", f"{_money(quote.low)} to {_money(quote.high)}"),
        ("Previous close", _money(quote.previous)),
        ("Volume", f"{_volume(quote.volume)} (average {_volume(quote.average_volume)})"),
    ]
    text = (
        f"{quote.name} traded between {_money(quote.low)} and {_money(quote.high)} and closed at {_money(quote.price)}."
    )
    return f"{quote.ticker} snapshot", text, facts


def _levels(quote: Quote) -> tuple[str, str, list[tuple[str, str]]]:
    """Floor-trader pivots: P = (H + L + C) / 3, R1 = 2P - L, S1 = 2P - H, R2 = P + (H - L), S2 = P - (H - L)."""
    pivot = (quote.high + quote.low + quote.price) / 3
    span = quote.high - quote.low
    facts = [
        ("Resistance 2", _money(pivot + span)),
        ("Resistance 1", _money(2 * pivot - quote.low)),
        ("Pivot", _money(pivot)),
        ("Support 1", _money(2 * pivot - quote.high)),
        ("Support 2", _money(pivot - span)),
    ]
    side = "above" if quote.price >= pivot else "below"
    return f"{quote.ticker} key levels", f"{quote.name} closed {side} its pivot of {_money(pivot)}.", facts


def _trend(quote: Quote) -> tuple[str, str, list[tuple[str, str]]]:
    closes = quote.history
    short, long = _mean(closes[-5:]), _mean(closes[-20:])
    gap = (short / long - 1) * 100
    word = "sideways" if abs(gap) < _SIDEWAYS_PERCENT else "up" if gap > 0 else "down"
    facts = [
        ("Direction", word.capitalize()),
        ("5-day average", _money(short)),
        ("20-day average", _money(long)),
        ("5-day change", _percent((closes[-1] / closes[-6] - 1) * 100)),
        ("20-day change", _percent((closes[-1] / closes[-21] - 1) * 100)),
    ]
    text = f"{quote.name} is trending {word}: its 5-day average is {_percent(gap)} from its 20-day average."
    return f"{quote.ticker} trend", text, facts


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def _money(value: float) -> str:
    return f"${value:,.2f}"


def _percent(value: float) -> str:
    """Return a signed percentage with a real minus sign."""
    return f"{value:+.2f}%".replace("-", "−")  # noqa: RUF001 - a minus sign is meant


def _move(quote: Quote) -> str:
    word = "up" if quote.change > 0 else "down" if quote.change < 0 else "unchanged"
    return f"{word} {_money(abs(quote.change))} ({_percent(quote.change_percent)})"


def _volume(shares: int) -> str:
    return f"{shares / 1_000_000:,.1f}M"


def _activity(quote: Quote) -> str:
    ratio = quote.volume / quote.average_volume
    return (
        "a busy session" if ratio > _BUSY_RATIO else "a quiet session" if ratio < _QUIET_RATIO else "an average session"
    )


def _list(words: list[str]) -> str:
    """Return `A`, `A and B` or `A, B and C`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
