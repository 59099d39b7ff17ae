"""The table of pipelines."""

from __future__ import annotations

from tests.pipelines import flux, others, videos

ENTRIES = (*flux.ENTRIES, *videos.ENTRIES, *others.ENTRIES)
BY_NAME = {entry.name: entry for entry in ENTRIES}
