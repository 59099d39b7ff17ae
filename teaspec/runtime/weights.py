"""Where text that `teaspec compile` 0.1 wrote imports this from; new text has `teaspec.runtime.generated`."""

from __future__ import annotations

from teaspec.runtime.host.weights import with_weights

__all__ = ["with_weights"]
