"""The nodes of a run on several machines: what they prove, how attempts are placed on them, and how files come back."""
