"""Checking many specs: in this process or side by side in several, with one result for each, whatever happens."""
