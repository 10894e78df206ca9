"""A suite split over several jobs, and their records merged into one."""
