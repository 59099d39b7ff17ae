"""What decides, by the published formula of each model: one function for each, written out by hand."""
