"""Derive suggestions from earlier runs and this one."""
