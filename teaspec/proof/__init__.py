"""`teaspec check`: the probe, the drawn examples, the properties, and the report as data."""
