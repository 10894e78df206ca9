"""The driver `text`: it reads pages as text, without a browser. `session` has its steps."""

from orchestra.drivers import DriverKind

DRIVER = DriverKind(
    "text",
    "pages as text, without a browser",
    frozenset({"browser", "http"}),
    module="orchestra_sample.session",
    browsers=(),
    verbs=frozenset({"goto", "expect"}),
)
