"""What becomes of a hook where its module is copied or pickled."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Collection
from typing import Any


def deep_copy(hook: Any, memo: dict[int, Any], shared: Collection[str]) -> Any:
    """Returns a deep copy of an object, all but the attributes that both may share.

    Args:
        hook: The object.
        memo: What has been copied so far, as `copy.deepcopy` keeps it.
        shared: Attributes that never change, so that the copy has the very same.
    """
    memo.update({id(value): value for name, value in vars(hook).items() if name in shared})
    twin = memo[id(hook)] = object.__new__(type(hook))
    vars(twin).update(copy.deepcopy(vars(hook), memo))
    return twin


def check_travels(extractor: Callable[..., Any] | None) -> None:
    """Refuses to pickle an extractor that was compiled for a module of this process.

    Args:
        extractor: The one that the user gave, None where the registry's is used.

    Raises:
        pickle.PicklingError: If it cannot be pickled.
    """
    if extractor is None:
        return
    try:
        pickle.dumps(extractor)
    except Exception as error:
        raise pickle.PicklingError(
            f"TeaCache was applied with an extractor that cannot be pickled, {extractor!r}: register it, by a spec or "
            f"with register_extractor, and apply TeaCache without `extractor`, or remove TeaCache first ({error})"
        ) from error
