"""Methods and functions that are given the stream and a condition and return both, in a tuple or a dict."""

from __future__ import annotations

from tests.compiler.random_forwards.expressions import Expressions

STREAMS = ("x * amount", "x + amount", "x", "self.extra(x)", "+x", "blend(x, x * amount)")
OTHERS = ("c * 0.5 + 1", "c * amount", "c", "self.mix(c)", "blend(c, c * amount)")


class Helpers(Expressions):
    """Writes helpers, and calls of them."""

    def write_helper(self) -> None:
        """What it returns is unpacked at the call, or looked up in a name."""
        self.fresh += 1
        method, as_dict = self.chooser.choose((True, False)), self.chooser.choose((True, False))
        function = f"both_{self.fresh}"
        stream, other = self.chooser.choose(STREAMS), self.chooser.choose(OTHERS)
        if not method:
            stream, other = (text.replace("self.", "model.") for text in (stream, other))
        results = ['"c": c', '"x": x'] if as_dict else ["x", "c"]
        body = ["if amount is None:", "    return {}", f"c = {other}", f"x = {stream}", "return {}"]
        if self.chooser.number(0, 3):
            body = body[2:]  # so it can be written out
        if not self.chooser.number(0, 3):
            results = [text.replace("c: c", f"c: {other}") for text in results]
        made = f"{{{', '.join(results)}}}" if as_dict else ", ".join(results)
        body = [line.format(made) if line.endswith("{}") else line for line in body]
        if method:
            self.helpers += ["", f"    def {function}(self, x, c, amount=2):", *(f"        {line}" for line in body)]
        else:
            self.functions += ["", "", f"def {function}(model, x, c, amount=2):", *(f"    {line}" for line in body)]
        self._call(f"self.{function}(" if method else f"{function}(self, ", as_dict, (stream, other))

    def _call(self, call: str, as_dict: bool, made: tuple[str, str]) -> None:
        given, condition = self.chooser.choose(self.usable("tensor")), self.any_condition()
        call += f"{given.name}, {condition}{self.chooser.choose(('', f', {self.number()}'))})"
        stream = "hidden_states" if self.chooser.number(0, 2) else self.target("tensor")
        other = self.target("condition")
        if not as_dict and self.chooser.choose((True, False)):
            self.write(f"{stream}, {other} = {call}")
        else:
            pair = self.new("pair")
            self.write(f"{pair} = {call}")
            first, second = (f"{pair}['x']", f"{pair}['c']") if as_dict else (f"{pair}[0]", f"{pair}[1]")
            if not as_dict and self.chooser.choose((True, False)):
                self.write(f"{stream}, {other} = {pair}")
            else:
                self.write(f"{stream} = {first}", f"{other} = {second}")
        self.bind(stream, "tensor", given.name, given.memory if made[0] in {"x", "+x"} else None)
        self.bind(other, "condition", condition, self.memory_of(condition) if made[1] == "c" else None)
