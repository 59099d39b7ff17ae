"""Coefficients for vLLM-Omni's table, which raises "Cannot find coefficients" for a name that it does not hold."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from teaspec.runtime.calibrations.calibration import IDENTITY_COEFFICIENTS
from teaspec.runtime.calibrations.registry import Extractor
from teaspec.runtime.naming import listed

logger = logging.getLogger(__name__)


def bring_coefficients(
    table: MutableMapping[str, Any], extractors: Mapping[str, Extractor], like: Mapping[str, str]
) -> frozenset[str]:
    """Adds coefficients where the table has none, so that `rel_l1_thresh` alone is enough.

    What vLLM-Omni has stays. Where a spec has published coefficients these are added, else the identity.

    Args:
        table: vLLM-Omni's.
        extractors: What is registered, by name.
        like: Names that share the coefficients of another one: subclasses.

    Returns:
        The names that have the identity now: uncalibrated.
    """
    uncalibrated = set()
    for name, extractor in extractors.items():
        if name in table:
            continue
        base = like.get(name)
        if base is not None and base in table and base not in uncalibrated:
            table[name] = table[base]
            continue
        defaults = getattr(extractor, "defaults", None)
        if defaults is None or defaults.status == "none":
            uncalibrated.add(name)
        table[name] = list(IDENTITY_COEFFICIENTS if defaults is None else defaults.coefficients)
    return frozenset(uncalibrated)


def tell_uncalibrated(names: Iterable[str]) -> None:
    """Logs for which names no coefficients are published."""
    if names := sorted(names):
        logger.info("no coefficients are published, so that distances are taken as they are: %s", listed(names))
