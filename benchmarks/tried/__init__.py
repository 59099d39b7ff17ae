"""Rules and forecasts of others, and of ours, that are not shipped: what `tried.py` compares."""
