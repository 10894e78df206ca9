"""The run: doit walks the plan, the engine grants, drivers act, the ledger records."""
