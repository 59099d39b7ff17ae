"""What an extractor hands over."""
