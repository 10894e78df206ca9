"""From a valid spec to a plan: names replaced, blocks expanded, defaults filled in."""
