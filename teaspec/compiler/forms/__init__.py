"""The data that the passes hand to each other."""
