"""What sinks, what crosses from the blocks to the postlude, and what must not."""
