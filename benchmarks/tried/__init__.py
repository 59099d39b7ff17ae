"""Rules and forecasts of others, and of ours, that are not shipped: what `others.py` compares."""
