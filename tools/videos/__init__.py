"""How the second model of `teaspec demo` is trained. Not part of the package."""
