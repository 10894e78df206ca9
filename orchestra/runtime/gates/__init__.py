"""Quality gates of a run, and of a run that is over."""
