"""What people and other programs read of a run. May import `ledger`, `plan`, `draw`, `places` and `errors`; never the runtime."""
