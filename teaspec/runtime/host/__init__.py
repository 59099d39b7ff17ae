"""What else is on this module: other hooks, compilation, copies, weights kept elsewhere, process groups."""
