"""Print docs/rules.md: `python -m orchestra.compiler.rules`. May import `page`."""

import sys

from orchestra.compiler.rules.page import page

sys.stdout.write(page())
