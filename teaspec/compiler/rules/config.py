"""What must hold between a spec's `match` and the config that the model really has."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from teaspec.compiler.forms.document import Path
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.report import did_you_mean
from teaspec.compiler.rules.finding import Finding
from teaspec.versions.history import history_of

_OF_LOADING = {"_name_or_path"}
"""What a config holds only once the model was loaded from somewhere."""


def check_config_keys(spec: Spec, keys: Collection[str]) -> Iterator[Finding]:
    """Finds keys that a `match` asks for in vain: it would never fit, whatever the version of diffusers.

    Args:
        spec: Its variants have the `match`.
        keys: The keys of the config of an instance.
    """
    history = history_of(spec.model)
    sets: list[tuple[Path, Collection[str]]] = [(("teacache",), spec.teacache.match)]
    sets += [(("teacache", "variants", name), facts.match) for name, facts in spec.teacache.variants.items()]
    for path, match in sets:
        for key in match:
            if key not in keys and key not in _OF_LOADING and history.find("config", key) is None:
                message = f"the config of `{spec.class_name}` has no `{key}`"
                where = (*path, "match", key)
                yield Finding(where, "unknown-config-key", message, help=did_you_mean(key, keys), at_key=True)
