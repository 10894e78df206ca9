"""From plans to the bytes of every generated file."""
