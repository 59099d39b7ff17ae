"""Random statements of everyday kinds; each may stand anywhere in a forward."""

from __future__ import annotations

from tests.compiler.random_forwards.expressions import Expressions
from tests.compiler.random_forwards.scope import CONDITIONS, Names

SIMPLE = ("assign", "assign", "assign", "alias", "comprehension", "read", "walrus", "raise")
EFFECTS = ("augment", "in_place", "store", "call", "random", "state")
SUITES = ("if", "if", "for", "with")
WITH_SUITES = frozenset({*SUITES, "match"})


class Statements(Expressions):
    """Writes statements."""

    def statements(self, least: int, most: int, depth: int = 0, without: Names = frozenset()) -> None:
        for _ in range(self.chooser.number(least, most)):
            self.statement(depth, without)

    def statement(self, depth: int, without: Names) -> None:
        kind = self.chooser.choose([kind for kind in self.choices(depth) if kind not in without])
        method = getattr(self, f"write_{kind}")
        before = len(self.lines)
        if kind in WITH_SUITES:
            method(depth, without)
        else:
            method()
        if len(self.lines) > before:
            self.kinds |= {kind, f"{kind}, {self.place}"}

    def choices(self, depth: int) -> list[str]:
        """The kinds of statements that may stand here, those that are drawn more often more than once."""
        kinds = list(SIMPLE)
        # What the blocks change in place and the postlude reads is mostly refused; what they leave on the model, always
        if not self.in_blocks or not self.chooser.number(0, 3):
            kinds += EFFECTS
        if self.in_blocks and "state" in kinds and self.chooser.number(0, 5):
            kinds.remove("state")
        if self.usable("condition"):
            kinds += ["condition", "condition"]
        if self.usable("condition") and not (self.in_blocks and self.chooser.number(0, 2)):
            kinds.append("pair")
        if self.usable("condition") and self.chooser.number(0, 5) == 5:
            kinds.append("merge")
        if self.chooser.number(0, 5) == 5:  # a function that captures a name which is rebound later is refused
            kinds.append("function")
        if depth < 2:
            kinds += SUITES
        return kinds

    # Values

    def write_assign(self) -> None:
        kind = self.chooser.choose(("tensor", "number", "list", "dict"))
        name = self.target(kind)
        memory = None
        if kind == "tensor":
            text, memory = self.tensor()
        elif kind == "number":
            text = self.number()
        elif kind == "list":
            text = f"[{self.number()}, {self.number()}]"
        else:
            text = f"{{'a': {self.number()}}}"
        self.write(f"{name} = {text}")
        self.bind(name, kind, text, memory)

    def write_condition(self) -> None:
        name = self.target("condition")
        text = self.condition()
        self.write(f"{name} = {text}")
        self.bind(name, "condition", text, self.memory_of(text))

    def write_pair(self) -> None:
        """The stream and a condition, bound together."""
        name = self.target("condition")
        stream, text = f"hidden_states * {self.number()}", self.condition()
        if self.chooser.number(0, 3):
            self.write(f"hidden_states, {name} = ({stream}, {text})")
        else:
            pair = self.new("pair")
            self.write(f"{pair} = ({stream}, {text})", f"hidden_states, {name} = {pair}")
        memory = self.memory_of(text)
        self.bind(name, "condition", text, memory)
        self.bind("hidden_states", "tensor", stream)

    def write_merge(self) -> None:
        """A condition is made of what the blocks compute."""
        name = self.target("condition")
        text = f"{self.condition()} + hidden_states.mean(1)"
        self.write(f"{name} = {text}")
        self.bind(name, "condition", text)

    def write_alias(self) -> None:
        variable = self.some("tensor", "list", "dict")
        if variable is None:
            return
        if variable.kind == "tensor" and self.chooser.choose((True, False)):
            name = self.target("view")
            self.write(f"{name} = {variable.name}[:, :1]")
            self.bind(name, "view", variable.name, variable.memory)
            return
        name = self.target(variable.kind)
        if name != variable.name:
            self.write(f"{name} = {variable.name}")
            self.bind(name, variable.kind, variable.name, variable.memory)

    def write_comprehension(self) -> None:
        source = self.some("list")
        name = self.target("list")
        over = source.name if source is not None else "hidden_states.shape"
        inner = self.chooser.choose(("index", "hidden_states", "flag"))
        self.write(f"{name} = [({inner} + size) % 5 for size in {over}[:3] for {inner} in range(2) if size > {inner}]")
        self.bind(name, "list")

    def write_walrus(self) -> None:
        first, second = self.target("number"), self.target("number")
        self.write(f"{first} = ({second} := {self.number()}) + 1")
        self.bind(second, "number")
        self.bind(first, "number")

    def write_function(self) -> None:
        variable = self.some("number", "tensor")
        captured = variable.name if variable is not None else "2"
        function = self.new("function")
        self.write(f"def {function}(x, y={self.number()}):", f"    return x * {captured} + y")
        name, given = self.target("tensor"), self.chooser.choose(self.usable("tensor")).name
        self.write(f"{name} = {function}({given})")
        self.bind(name, "tensor", f"{captured} * {given}")

    # Effects

    def write_augment(self) -> None:
        variable = self.some("number")
        if variable is not None:
            self.write(f"{variable.name} {self.chooser.choose(('+', '-', '*'))}= {self.number()}")
            self.write(f"{variable.name} = {variable.name} % 9")

    def write_in_place(self) -> None:
        variable = self.some("tensor", "view")
        if variable is None:
            return
        self.change(variable)
        form = self.chooser.choose(("{0} *= 0.5", "{0} += {1}", "{0}.add_({1})", "{0}[:, 0].mul_(0.5)"))
        self.write(form.format(variable.name, self.number()))

    def write_store(self) -> None:
        variable = self.some("tensor", "view", "list", "dict")
        if variable is None:
            return
        self.change(variable)
        if variable.kind == "list":
            self.write(f"{variable.name}[-1:] = [{self.number()}]")
        elif variable.kind == "dict":
            self.write(f"{variable.name}[{self.chooser.choose(('a', 'b'))!r}] = {self.number()}")
        else:
            operator = self.chooser.choose(("=", "+=", "*="))
            place = self.chooser.choose((":, :1", ":, 0", "...", "0"))
            self.write(f"{variable.name}[{place}] {operator} {self.number()}")

    def write_call(self) -> None:
        variable = self.some("list", "dict")
        if variable is None:
            return
        self.change(variable)
        name = variable.name
        if variable.kind == "dict":
            form = self.chooser.choose(("{0}.update(b={1})", "{0}.setdefault('c', {1})", "{0}.pop('a', {1})"))
            self.write(form.format(name, self.number()))
            return
        form = self.chooser.number(0, 3)
        if form == 0:
            self.write(f"{name}.append({self.number()})")
        elif form == 1:
            self.write(f"{name}.extend([{self.number()}] * 2)")
        else:
            target = self.target("number")
            self.write(f"{target} = bump({name})" if form == 2 else f"{target} = {name}.pop() if {name} else 1")
            self.bind(target, "number")

    def write_random(self) -> None:
        if self.in_blocks:
            self.repeatable = False
        name = self.target("tensor")
        text = "torch.rand(1, hidden_states.shape[1], 8) + hidden_states"
        self.write(f"{name} = {text}")
        self.bind(name, "tensor", text)

    def write_state(self) -> None:
        name = self.target("number")
        self.write("self.count += 1", f"{name} = self.count % 4")
        self.bind(name, "number")

    # Conditions

    def write_raise(self) -> None:
        reason = self.chooser.choose(("first", "second"))
        self.write(f"if fail == {reason!r}:", f"    raise ValueError(fail, {self.number()})")

    def write_read(self) -> None:
        """Reads a name that is bound under a condition, under the same condition."""
        maybe = [variable for variable in self.variables.values() if variable.conditions]
        if not maybe:
            return
        variable = self.chooser.choose(maybe)
        amount = {"number": "{0}", "list": "len({0})", "dict": "len({0})"}.get(variable.kind, "{0}.mean()")
        text = f"hidden_states * (1 + {amount.format(variable.name)})"
        self.write(f"if {' and '.join(sorted(variable.conditions))}:", f"    hidden_states = {text}")
        outside, self.conditions = self.conditions, self.conditions | variable.conditions
        self.bind("hidden_states", "tensor", text)
        self.conditions = outside

    def write_if(self, depth: int, without: Names) -> None:
        condition = self.chooser.choose(CONDITIONS)
        self.branch(f"if {condition}:", frozenset({condition}), depth, without)
        if self.chooser.choose((False, True)):
            self.branch("else:", frozenset({f"not ({condition})"}), depth, without)

    def branch(self, opening: str, conditions: Names, depth: int, without: Names) -> None:
        self.write(opening)
        self.indent += 1
        outside, self.conditions = self.conditions, self.conditions | conditions
        before = len(self.lines)
        self.statements(1, 2, depth + 1, without)
        if len(self.lines) == before:
            self.write("pass")
        self.conditions = outside
        self.indent -= 1

    def write_for(self, depth: int, without: Names) -> None:
        self.enter_turns()
        self.branch(f"for step in range({self.chooser.number(1, 2)}):", frozenset(), depth, without)
        self.leave_turns()

    def write_with(self, depth: int, without: Names) -> None:
        self.branch("with torch.no_grad():", frozenset(), depth, without)
