"""Secrets: their values are replaced in every text before it is written, in each form that a run could produce.

A file that a program writes by itself (a download, a report of a command) is cleaned in place.
"""

from orchestra.runtime.mask.files import Cleaned, Removed
from orchestra.runtime.mask.masks import NOTHING, Masks
from orchestra.runtime.mask.stream import StreamMask
from orchestra.runtime.mask.weak import weakness

__all__ = ["NOTHING", "Cleaned", "Masks", "Removed", "StreamMask", "weakness"]
