"""Compute or reuse, and what is added in place of the blocks."""
