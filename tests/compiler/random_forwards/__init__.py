"""Writes random small forwards: text that runs, in which statements get in each other's way as much as they can.

The text is made of choices only, which hypothesis or a seeded generator make: so hypothesis can shrink what fails.
"""
