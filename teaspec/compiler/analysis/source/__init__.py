"""Where the source is of what a live module runs."""
