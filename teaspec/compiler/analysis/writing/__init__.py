"""How the same is written elsewhere: in another function, under other names, outside of the model's file."""
