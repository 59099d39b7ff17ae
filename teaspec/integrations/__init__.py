"""teaspec inside of other serving systems, by the doors that those have for it."""
