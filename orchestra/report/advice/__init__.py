"""What earlier runs and this one suggest."""
