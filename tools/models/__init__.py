"""What docs/models.md and `teaspec list` are made from. Not part of the package."""
