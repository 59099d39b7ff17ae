"""What is published about a model, and which extractor serves it."""
