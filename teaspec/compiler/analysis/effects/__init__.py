"""What a statement reads, binds and changes: one reader, one table of operations."""
