"""The kinds of probe: `kind` has the types, `table` the registry that schema, rules, lowering, runtime and docs read."""
