"""The compiler: source, schema, spec, rules, lower, emit, drift. May import the plan and what lies below it, never the runtime."""
