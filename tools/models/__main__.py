"""`python -m tools.models [SPEC...]`, or `make models`."""

from __future__ import annotations

import sys

from tools.models.write import write

if __name__ == "__main__":
    sys.exit("\n".join(write(sys.argv[1:])) or 0)
