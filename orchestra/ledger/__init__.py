"""What did happen: an append-only, hash-chained record and the state folded from it."""
