"""Whose call this is: branch, step, generation, session."""
