"""What `hook_overhead.py` and `growth.py` are made of."""
