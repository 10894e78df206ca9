"""Record a run: an append-only, hash-chained ledger and the state folded from it."""
