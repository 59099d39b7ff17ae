"""Transformers at their real widths on an accelerator: what `gpu.py` measures."""
