"""What the maintainers run. Not part of the package."""
