"""YAML text as the core schema of YAML 1.2 reads it, on top of PyYAML's scanner."""
