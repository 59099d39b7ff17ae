"""The way to the modulated input, and which argument is the timestep."""
