"""The steps of a test: their vocabulary, their targets, and their texts for people and for drivers."""
