"""What moves from one version of diffusers to the next: `make drift`."""
