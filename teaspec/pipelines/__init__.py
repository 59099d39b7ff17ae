"""A pipeline of the user's: where it comes from, what it is asked, how it is run."""
