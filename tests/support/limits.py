"""Options of subprocess that take from a process what the machine of these tests would give it."""

from __future__ import annotations

import ctypes
import os
import resource

import pytest


def bound_by_modes():
    """Options for a process that file modes hold for, as they do for everybody but root."""
    if os.geteuid() != 0:
        return {}
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl is None:
        pytest.skip("root passes over file modes, and this system has no prctl to give that up")

    def give_up():
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                raise OSError(ctypes.get_errno(), "prctl")

    return {"preexec_fn": give_up}


def limited(size):
    """A disk that takes no file above `size` bytes: the system refuses the write, as a full disk does."""
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))}
