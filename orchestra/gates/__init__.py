"""Metrics, the expressions over them, and the gates that every suite has."""
