"""HTML pages that need nothing beside themselves, light and dark as the reader's system has it."""
