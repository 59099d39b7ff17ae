"""A whole pipeline: TeaCache on and off."""
