"""Tiny transformers with real arithmetic, one file per numbered duty of the slicer."""
