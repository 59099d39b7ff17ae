"""A diffusers that teaspec does not work with: one error, wherever teaspec is used first."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import teaspec
from teaspec.cli import app
from teaspec.versions.supported import BEFORE, SINCE, installed, is_supported

ROOT = Path(__file__).parents[2]
OLD = (
    "error: diffusers 0.31.0 is installed, and this version of teaspec supports diffusers >= 0.35, < 0.43: "
    'pip install "diffusers>=0.35,<0.43"\n'
)
COMMANDS = sorted(str(command.name or command.callback.__name__) for command in app.registered_commands)


@pytest.fixture
def run(tmp_path):
    """Runs Python where another diffusers is installed: its metadata, and a package that has none of what is needed."""

    def run(code, *arguments, version="0.31.0"):
        metadata = tmp_path / f"diffusers-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir(exist_ok=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: diffusers\nVersion: {version}\n", encoding="utf-8")
        package = tmp_path / "diffusers" / "__init__.py"
        package.parent.mkdir(exist_ok=True)
        package.write_text(f"__version__ = {version!r}\n", encoding="utf-8")
        # ahead of everything, also of what .pth files bring
        ahead = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; sys.argv[0] = 'teaspec'\n"
        return subprocess.run(
            [sys.executable, "-c", ahead + code, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
        )

    return run


def test_there_are_commands():
    assert {"check", "compile", "list", "demo", "calibrate", "explain", "init", "schema"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_it(run, command):
    """Goes red without the check in the callback of the commands: `list` works, `check` calls it a bug."""
    done = run("from teaspec.cli import main; main()", command)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", OLD)


def test_the_version_can_be_asked_for(run):
    done = run("from teaspec.cli import main; main()", "--version")
    assert (done.returncode, done.stdout) == (0, f"teaspec {teaspec.__version__}\n")


def test_every_public_name_says_it(run):
    """Goes red without the check in `teaspec.__getattr__`: errors are data classes, which nobody would refuse."""
    code = """
import teaspec
for name in teaspec.__all__:
    if name != "__version__":
        try:
            getattr(teaspec, name)
        except ImportError as error:
            print(type(error).__name__, error)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    said = f"UnsupportedVersionError {OLD.removeprefix('error: ')}"
    assert done.stdout == said * (len(teaspec.__all__) - 1)


@pytest.mark.parametrize(
    "code",
    [
        "import teaspec.runtime.generated",
        "from teaspec.runtime.apply import apply_teacache_hook",
        "import teaspec.proof.run",
        "from teaspec.calibrate.collect import *",
        "from teaspec.integrations.vllm_omni import register\nregister()",
        "from teaspec.compiler import load_spec\nfrom teaspec.compiler.passes.import_model import import_model\n"
        "from teaspec.catalog import shipped_specs\nimport_model(load_spec(next(iter(shipped_specs()))))",
    ],
)
def test_modules_of_ones_own_choice_say_it(run, code):
    """Goes red without the check ahead of the imports of diffusers, or without that of `import_model`."""
    done = run(code)
    assert done.returncode == 1
    expected = f"teaspec.versions.supported.UnsupportedVersionError: {OLD.removeprefix('error: ')}"
    assert done.stderr.endswith(expected), done.stderr


def test_a_newer_one_is_refused_too(run):
    done = run("from teaspec.cli import main; main()", "list", version="0.43.0.dev0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: diffusers 0.43.0.dev0 is installed")


def test_none_at_all(run):
    code = """
from importlib import metadata
version = metadata.version
metadata.version = lambda name: version("no-such-" + name)
from teaspec.cli import main
main()
"""
    done = run(code, "list")
    assert (done.returncode, done.stdout) == (2, "")
    expected = "error: diffusers is not installed; teaspec needs diffusers >= 0.35, < 0.43: "
    assert done.stderr == f'{expected}pip install "diffusers>=0.35,<0.43"\n'


def test_importing_says_nothing(run):
    done = run("import sys, teaspec; print('diffusers' in sys.modules, teaspec.__version__)")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"False {teaspec.__version__}\n"


def test_the_imported_one_counts():
    """The metadata may be that of another copy: goes red without the look into `sys.modules`."""
    import diffusers

    assert installed() == diffusers.__version__


@pytest.mark.parametrize(
    "version", ["0.34.0", "0.35.0", "0.35.2", "0.35.0.dev0", "0.42.1", "0.43.0", "0.43.0.dev0", "1.0", "0.4.1", "none"]
)
def test_the_range_is_that_of_the_package(version):
    """What pip installs beside teaspec is what teaspec works with, and the other way round."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")  # no tomllib on Python 3.10
    claimed = Requirement(re.search(r'^    "(diffusers\b.*)",$', project, re.MULTILINE)[1]).specifier
    # a pre-release of the first version is older than it, for pip; what it lacks, its author knows
    expected = version != "none" and (version == "0.35.0.dev0" or claimed.contains(Version(version), prereleases=True))
    assert is_supported(version) is expected
    assert str(claimed) in (f"<{_dotted(BEFORE)},>={_dotted(SINCE)}", f">={_dotted(SINCE)},<{_dotted(BEFORE)}")


def _dotted(version):
    return ".".join(map(str, version))
