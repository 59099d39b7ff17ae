"""Shipped specs against classes of other packages: of the same names, or derived from those of diffusers."""
