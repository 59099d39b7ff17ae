"""Where blocks are iterated, and where they end."""
