"""One call, from the cut to what it leaves behind."""
