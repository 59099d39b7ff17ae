"""Drafting a spec from a model's class alone: guesses in the order of their likelihood, and the compiler as judge."""
