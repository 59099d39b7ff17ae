"""A model's forward as the compiler sees it, for people: what goes where, what crosses, what a reused step executes."""
