"""Images and videos that pipelines make: taken out of their results, compared, laid out and drawn."""
