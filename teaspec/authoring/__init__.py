"""What somebody who writes a spec asks for: the extractor that comes of it, as a file."""
