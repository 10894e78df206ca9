"""Processes: started, watched, found again, ended with all that they left behind."""
