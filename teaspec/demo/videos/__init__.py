"""The video model: what is shipped of it, and how to use it. `python -m tools.videos` makes it anew."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "weights"
"""Transformer, prompt embeddings and classifier."""
