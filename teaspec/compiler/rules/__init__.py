"""What a spec must satisfy, and the sentences for what it does not."""
