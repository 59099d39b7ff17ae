"""`match` statements: over values, sequences, mappings and classes, with captures that share what they match."""

from __future__ import annotations

from tests.compiler.random_forwards.scope import Names
from tests.compiler.random_forwards.statements import Statements


class Matches(Statements):
    """Writes matches."""

    def write_match(self, depth: int, without: Names) -> None:
        form = self.chooser.choose((self._values, self._captures, self._numbers, self._items))
        form(depth, without)

    def _values(self, depth: int, without: Names) -> None:
        """Suites in the cases; which of them is taken, an argument says."""
        self.write("match scale:")
        self.indent += 1
        self.branch("case None:", frozenset({"scale is None"}), depth, without)
        given = frozenset({"scale is not None"})
        if self.chooser.choose((True, False)):
            self.branch("case 2:", given | {"scale == 2"}, depth, without)
            given |= {"scale != 2"}
        self.branch("case _:", given, depth, without)
        self.indent -= 1

    def _captures(self, depth: int, without: Names) -> None:
        """A name that captures the stream or a condition is another name for it."""
        if not self.usable("condition"):
            return
        tensor, condition = self.chooser.choose(self.usable("tensor")), self.any_condition()
        opening, pattern = self.chooser.choose((
            ("match ({0}, {1}):", "case ({0}, {1}):"),
            ("match [{0}, 2, {1}]:", "case [{0}, *_, {1}]:"),
            ("match {{'x': {0}, 'c': {1}}}:", "case {{'x': {0}, 'c': {1}}}:"),
            ("match ({1}, {0}):", "case (torch.Tensor() as {1}, torch.Tensor() as {0}):"),
        ))  # fmt: skip
        shared = self.memory_of(condition)
        names = self.new("tensor"), self.new("condition")
        self.write(opening.format(tensor.name, condition))
        self.indent += 1
        # The names are bound behind it: it surely matches.
        self.bind(names[0], "tensor", tensor.name, tensor.memory)
        self.bind(names[1], "condition", condition, shared)
        self.branch(pattern.format(*names), frozenset(), depth, without)
        self.indent -= 1

    def _numbers(self, *_: object) -> None:
        variable = self.some("list")
        subject = variable.name if variable is not None else "[scale or 1, 2]"
        name = self.target("number")
        pattern = self.chooser.choose(("[first, *_]", "[_, *rest] if rest", "[*first]"))
        value = {"[first, *_]": "first + 1", "[_, *rest] if rest": "len(rest)", "[*first]": "len(first)"}[pattern]
        self._chosen(name, subject, pattern, value)

    def _items(self, *_: object) -> None:
        name = self.target("number")
        subject, pattern = self.chooser.choose((
            ("options or {'a': 2}", "{'a': value}"), ("options or {'a': 2}", "{Kind.first: value}"),
            ("scale", "int(value) if value > 2"), ("(flag, scale)", "(True, value) if value"),
            ("{'a': 3, 'b': 4}", "{'a': value, **others} if others"), ("scale", "(2 | 3) as value"),
        ))  # fmt: skip
        self._chosen(name, subject, pattern, "value")

    def _chosen(self, name: str, subject: str, pattern: str, value: str) -> None:
        self.write(f"match {subject}:", f"    case {pattern}:", f"        {name} = {value}")
        self.write("    case _:", f"        {name} = {self.number()}")
        self.bind(name, "number")
