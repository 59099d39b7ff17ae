"""What a pipeline is asked."""

from __future__ import annotations

from pathlib import Path


def read_prompts(path: Path) -> list[str]:
    """Reads prompts, one a line; empty lines and those that begin with `#` are none.

    Raises:
        ValueError: If there is no prompt, or the file is no text.
        OSError: If the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 (byte {error.start}); write a prompt a line") from error
    lines = (line.strip() for line in text.splitlines())
    prompts = [line for line in lines if line and not line.startswith("#")]
    if not prompts:
        raise ValueError(f"{path} holds no prompt; write one a line")
    return prompts
