"""Which versions of diffusers there are for teaspec, and what moved between them. Nothing here imports diffusers."""
