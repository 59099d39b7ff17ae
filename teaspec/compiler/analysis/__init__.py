"""What is found out about a forward before it is cut: one question a room, and each room knows those below it alone."""
