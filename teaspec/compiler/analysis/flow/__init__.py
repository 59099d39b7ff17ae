"""Which definition reaches which read, and where values come from."""
