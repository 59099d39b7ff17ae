"""`teaspec compare`: a user's own pipeline, uncached beside each setting, so that one can be chosen."""
