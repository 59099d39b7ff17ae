from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import teaspec

RUNTIME_NAMES = sorted(set(teaspec.__all__) - {"SpecError", "compile_spec", "load_spec"})


@pytest.mark.parametrize("name", RUNTIME_NAMES)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(teaspec, name) is not None
    assert name in dir(teaspec)


def test_the_version_is_that_of_the_package() -> None:
    assert teaspec.__version__ == version("teaspec")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'teaspec' has no attribute 'nobody'"):
        teaspec.nobody  # noqa: B018


def test_the_import_loads_nothing_heavy() -> None:
    heavy = ["torch", "diffusers", "jinja2", "pydantic", "yaml"]
    code = f"import sys, teaspec; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
