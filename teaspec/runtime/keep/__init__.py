"""Where cached tensors live, and whether they were overwritten."""
