"""Measure the minimum for reading and validating a spec: rapidyaml parses, jsonschema-rs validates; no places, no
output.

python bench/floor.py SPEC SCHEMA
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema_rs
import ryml

spec, schema = (Path(name).read_bytes() for name in sys.argv[1:3])
data = json.loads(ryml.emit_json(ryml.parse_in_arena(spec)))
sys.exit(not jsonschema_rs.Draft202012Validator(json.loads(schema), validate_formats=False).is_valid(data))
