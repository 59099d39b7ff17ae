"""What is known about every class that has a spec: the table that is shipped, and `teaspec list`."""
