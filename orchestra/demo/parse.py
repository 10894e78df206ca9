"""Reads what a person asks: which tickers, or the state of the market.

A pure function from text to `Question`. A ticker is found by symbol in any case (`nvda`, `$TSLA`; one of two letters,
such as KO, in capitals or after a `$`) or by the name of its company (`Apple`, `Coca-Cola's`), in the order of the
text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestra.demo.market import Market

MAX_MESSAGE = 4000
_SHORT_SYMBOL = 2
_LONGEST_UNKNOWN = 5
_STATUS = re.compile(r"\b(?:(?:stock )?markets?|indexes|indices|wall street)\b", re.IGNORECASE)
_SYMBOL = re.compile(r"(?<![\w$.&-])(\$?)([A-Za-z]{1,6})(?![\w&]|[-.]\w)")
# words that people write in capitals and that are no tickers
_NOT_TICKERS = frozenset(
    """
    A AM AND API ARE AT ATH BUY CEO CFO CSV DO EPS ETF ETFS EU EUR EV FAQ FED FOR GDP HELP HOW HTML I IN IPO IS IT JSON
    ME NO NOT NOW NYSE OF OK ON OR PE PDF PM Q SEC SELL THE TO UK US USA USD VS WHAT WHY YES YTD
    """.split()  # noqa: SIM905 - a list of fifty quoted words is harder to read
)


@dataclass(frozen=True, slots=True)
class Question:
    """A parsed question. All tickers are symbols in capitals, in the order of the text, each once."""

    tickers: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    status: bool = False


def parse(message: str, market: Market, *, any_case: bool = True, names: bool = True) -> Question:
    """Return the question in `message` about `market`.

    Args:
        message: the text as it was typed; any Unicode.
        market: the quotes that are known.
        any_case: find symbols in lower and mixed case too.
        names: find companies by name.
    """
    found: dict[int, str] = {}
    taken: list[tuple[int, int]] = []
    for match in _names(market).finditer(message) if names else ():
        found[match.start()] = _by_name(market)[" ".join(match.group().lower().split())]
        taken.append(match.span())
    unknown: dict[str, None] = {}
    shouting = message.upper() == message and len(message.split()) > 1
    for match in _SYMBOL.finditer(message):
        if any(start <= match.start() < end for start, end in taken):
            continue
        dollar, word = match.groups()
        symbol = word.upper()
        capitals = word == symbol
        if symbol in market:
            if dollar or capitals or (any_case and len(word) > _SHORT_SYMBOL):
                found[match.start()] = symbol
        elif dollar or (capitals and 1 < len(word) <= _LONGEST_UNKNOWN and symbol not in _NOT_TICKERS and not shouting):
            unknown[symbol] = None
    tickers = tuple(dict.fromkeys(found[start] for start in sorted(found)))
    return Question(tickers, tuple(unknown), status=not tickers and not unknown and bool(_STATUS.search(message)))


def _by_name(market: Market) -> dict[str, str]:
    return {alias: quote.ticker for quote in market.values() for alias in quote.aliases}


def _names(market: Market) -> re.Pattern[str]:
    """One pattern for all names; the longest first, or `exxon` would win over `exxon mobil`."""
    aliases = sorted(_by_name(market), key=lambda alias: (-len(alias), alias))
    words = "|".join(re.escape(alias).replace(r"\ ", r"\s+") for alias in aliases)
    return re.compile(rf"(?<![\w$])(?:{words})(?!\w)", re.IGNORECASE)
