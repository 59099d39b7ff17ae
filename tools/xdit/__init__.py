"""xDiT's wrappers of diffusers' classes, proven on a CPU: `python -m tools.xdit`."""
