"""vLLM-Omni's own classes, proven on a CPU: `python -m tools.vllm_omni`, or `make vllm-omni`."""
