"""The TeaCache runtime: contexts, the decision, the hook and the backend. It knows nothing of specs."""
