"""What a call may do besides returning a value: change its arguments, store on the model, draw random numbers."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from teaspec.compiler.analysis.names import root_names, self_attribute

MUTATING_METHODS = frozenset(
    "append extend insert remove pop popitem clear sort reverse update setdefault add discard intersection_update "
    "difference_update symmetric_difference_update appendleft popleft extendleft rotate move_to_end __setitem__ "
    "__delitem__ set_ resize_ write writelines send throw close".split()
)
"""Methods of Python's own containers, generators and files that change their receiver."""

RANDOM_CALLS = frozenset(
    "rand randn randint randperm rand_like randn_like randint_like randn_tensor bernoulli multinomial normal poisson "
    "rrelu dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout gumbel_softmax "
    "bernoulli_ cauchy_ exponential_ geometric_ log_normal_ normal_ random_ uniform_ trunc_normal_ kaiming_normal_ "
    "kaiming_uniform_ xavier_normal_ xavier_uniform_ sample rsample shuffle choice choices standard_normal "
    "manual_seed seed get_rng_state set_rng_state random randrange gauss permutation".split()
)
"""Last names of calls that draw from (or set) a random generator: torch, torch.nn.functional, numpy, random."""


@dataclass(frozen=True)
class CallSummary:
    """What is known of a function whose source could be read.

    Attributes:
        loads: Attributes of the model that it reads.
        stores: Attributes of the model that it sets.
        changes: Positions and names of parameters whose objects it may change in place.
        random: It may draw random numbers.
        external: It may do something else that is seen from outside.
        fresh: What it returns never shares an object with what it is given.
    """

    loads: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    changes: frozenset[int | str] = frozenset()
    random: bool = False
    external: bool = False
    fresh: bool = False


def changed_by_call(call: ast.Call, summaries: Mapping[str, CallSummary], self_name: str) -> set[str]:
    """The names whose objects a call may change in place, by torch's and Python's conventions.

    A method of a container that changes it, a name that ends in one underscore (torch's in-place functions), the
    keywords `out=` and `inplace=True`, `next(iterator)`; for functions with a summary, the parameters that it changes.
    """
    changed: set[str] = set()
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    in_place = last.endswith("_") and not last.endswith("__")
    if isinstance(call.func, ast.Attribute) and (in_place or last in MUTATING_METHODS):
        changed |= root_names(call.func.value)
    if in_place or last in {"next", "setattr", "delattr"}:
        changed |= {name for argument in call.args[:1] for name in root_names(argument)}
    for keyword in call.keywords:
        if keyword.arg == "out":
            changed |= root_names(keyword.value)
        if keyword.arg == "inplace" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
            changed |= {name for argument in arguments for name in root_names(argument)}
    name = self_attribute(call.func, self_name) if isinstance(call.func, ast.Attribute) else last
    summary = summaries.get(name or "")
    if summary is not None and summary.changes:
        for position, argument in enumerate(call.args):
            if position in summary.changes or isinstance(argument, ast.Starred):
                changed |= root_names(argument)
        for keyword in call.keywords:
            if keyword.arg is None or keyword.arg in summary.changes:
                changed |= root_names(keyword.value)
    return changed


def draws_random(call: ast.Call, self_name: str) -> bool:
    """Whether a call draws random numbers, by the name it is called by.

    Submodules are judged where they are resolved.
    """
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in RANDOM_CALLS and self_attribute(call.func, self_name) is None
    return isinstance(call.func, ast.Name) and call.func.id in RANDOM_CALLS
