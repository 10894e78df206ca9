"""The compiler: source, schema, spec, rules, lower, emit, drift."""
