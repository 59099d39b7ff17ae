"""How the forms refuse a value: with a diagnostic code, a sentence, and help."""

from __future__ import annotations

from pydantic_core import PydanticCustomError


def mistake(code: str, message: str, *help_lines: str) -> PydanticCustomError:
    """Builds the exception that a validator raises.

    Args:
        code: A key of the catalogue of diagnostic codes.
        message: One sentence for the reader of the spec.
        *help_lines: What to do about it.

    Returns:
        The exception; pydantic collects it together with the place.
    """
    return PydanticCustomError(code, "{message}", {"message": message, "help": help_lines})
