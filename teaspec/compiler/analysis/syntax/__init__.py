"""What the text says: nodes, names, arguments, and the same statement with other names."""
