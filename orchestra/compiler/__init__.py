"""The compiler: source, schema, spec, rules, lower, emit, drift. May import the plan and what is below, never the runtime."""
