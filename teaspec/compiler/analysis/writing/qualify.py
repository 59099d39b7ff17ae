"""Names of the model's module, as they are written outside of it.

Generated code stands in a file of its own but has to mean what it meant in the model's: a global is looked up in the
model's module at the time it is used (`transformer_flux.apply_rotary_emb`), modules are imported under the name that
the model gives them (`torch`, `np`), names of an enclosing function are read from the live closure, `super()` and
private names are spelt out.
"""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Iterable
from dataclasses import dataclass, field

from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.syntax.names import target_names
from teaspec.compiler.forms.paths import last_of, names_of
from teaspec.compiler.forms.places import local_names
from teaspec.compiler.forms.source import FunctionSource


@dataclass
class Imports:
    """The imports that generated text needs, collected while it is written.

    Attributes:
        taken: Names that no import may use.
        own: Names that the generated text defines: never looked up in the model's module.
        modules: Imported modules by the name they are given.
        closures: Functions whose closures are read, by the name under which they are.
    """

    taken: set[str]
    own: frozenset[str]
    modules: dict[str, str] = field(default_factory=dict)
    closures: dict[str, FunctionSource] = field(default_factory=dict)

    def module(self, name: str, wished: str) -> str:
        """The name under which a module is imported."""
        for given, module in self.modules.items():
            if module == name and (given == wished or given.rstrip("_") == wished):
                return given
        given = wished
        while given in self.modules or given in self.taken:
            given += "_"
        self.modules[given] = name
        return given

    def closure(self, function: FunctionSource) -> str:
        """The name under which a function's closure is read."""
        for given, known in self.closures.items():
            if known.function is function.function:
                return given
        given = f"closure_of_{function.node.name}"
        while given in self.closures or given in self.taken:
            given += "_"
        self.closures[given] = function
        return given


def qualified(node: ast.AST, source: FunctionSource, local: Iterable[str], imports: Imports) -> ast.AST:
    """A copy of a statement or expression of a function that means the same outside of the function's file.

    Args:
        node: The statement or expression.
        source: The function it comes from.
        local: The function's local names.
        imports: Collects what has to be imported.
    """
    return _Qualifier(source, frozenset(local), imports).visit(copy.deepcopy(node))  # type: ignore[no-any-return]


class _Qualifier(ast.NodeTransformer):
    def __init__(self, source: FunctionSource, local: frozenset[str], imports: Imports) -> None:
        self.source, self.imports = source, imports
        self.scopes = [local | {source.self_name}]

    # Names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        name = node.id
        if any(name in scope for scope in self.scopes) or name in self.imports.own:
            return node
        if name == "__class__":
            return ast.copy_location(self._class(), node)
        if name in self.source.free:
            return self._attribute(self.imports.closure(self.source), name, node)
        file = self.source.file
        name = self._mangled(name)
        if name in file.modules and file.modules[name] != file.module:
            given = self.imports.module(file.modules[name], name)
            return ast.copy_location(ast.Name(given, node.ctx), node)
        if name not in file.names and hasattr(builtins, name):
            return node
        return self._attribute(self.imports.module(file.module, last_of(file.module)), name, node)

    def _attribute(self, owner: str, name: str, node: ast.Name) -> ast.expr:
        made = ast.Attribute(ast.copy_location(ast.Name(owner, ast.Load()), node), name, node.ctx)
        return ast.copy_location(made, node)

    def _class(self) -> ast.expr:
        path = self.source.owner_path
        if path is None:
            closure: ast.expr = ast.Name(self.imports.closure(self.source), ast.Load())
            return ast.Attribute(closure, "__class__", ast.Load())
        module = self.source.file.module
        found: ast.expr = ast.Name(self.imports.module(module, last_of(module)), ast.Load())
        for part in names_of(path):
            found = ast.Attribute(found, part, ast.Load())
        return found

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        node.attr = self._mangled(node.attr)
        return self.generic_visit(node)

    def _mangled(self, name: str) -> str:
        owner = self.source.owner.lstrip("_")
        private = name.startswith("__") and not name.endswith("__")
        return f"_{owner}{name}" if private and owner else name

    def visit_Call(self, node: ast.Call) -> ast.AST:
        is_super = isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args
        if is_super and not any("super" in scope for scope in self.scopes):
            this = ast.Name(self.source.self_name, ast.Load())
            made = ast.Call(ast.Name("super", ast.Load()), [self._class(), this], [])
            return ast.copy_location(made, node)
        return self.generic_visit(node)

    # Scopes

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> ast.AST:
        first = node.generators[0]
        first.iter = self.visit(first.iter)  # evaluated in the scope around it
        outside = first.iter
        first.iter = ast.Constant(None)
        self.scopes.append(frozenset(n for g in node.generators for n in target_names(g.target)))
        self.generic_visit(node)
        self.scopes.pop()
        first.iter = outside
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self._defaults(node.args)
        self.scopes.append(frozenset(a.arg for a in _arguments(node.args)))
        node.body = self.visit(node.body)
        self.scopes.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        node.returns = None
        self._defaults(node.args)
        self.scopes.append(frozenset(a.arg for a in _arguments(node.args)) | _bound(node.body))
        node.body = [self.visit(statement) for statement in node.body]
        self.scopes.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.bases = [self.visit(base) for base in node.bases]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        self.scopes.append(_bound(node.body))
        node.body = [self.visit(statement) for statement in node.body]
        self.scopes.pop()
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        # An annotation of a local is never evaluated, and could name anything.
        node.target = self.visit(node.target)
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        if isinstance(node.target, ast.Name):
            return ast.copy_location(ast.Assign(targets=[node.target], value=self.visit(node.value)), node)
        return self.generic_visit(node)

    def _defaults(self, arguments: ast.arguments) -> None:
        for argument in _arguments(arguments):
            argument.annotation = None
        arguments.defaults = [self.visit(default) for default in arguments.defaults]
        arguments.kw_defaults = [self.visit(default) if default else None for default in arguments.kw_defaults]


def _bound(body: list[ast.stmt]) -> frozenset[str]:
    """The names that a suite binds. It is about to be changed, which nothing is that was read; so a copy is read."""
    return frozenset(local_names(effects_of(copy.deepcopy(body)).binds))


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [argument for argument in every if argument is not None]


def bare_arguments(
    arguments: ast.arguments, source: FunctionSource, imports: Imports, default_of: str
) -> ast.arguments:
    """A signature without annotations.

    Defaults that are no constants are taken from the function, not evaluated again.
    """
    made = copy.deepcopy(arguments)
    for argument in _arguments(made):
        argument.annotation = None
    owner = source.owner_path and f"{source.file.module}.{source.owner_path}.{source.node.name}"

    def bare(default: ast.expr, name: str) -> ast.expr:
        if isinstance(default, ast.Constant):
            return default
        if not owner:
            return ast.Constant(None)  # set when the text is loaded: no import reaches a class made in a function
        given = imports.module(source.file.module, last_of(source.file.module))
        function = ast.parse(f"{given}.{source.owner_path}.{source.node.name}", mode="eval").body
        return ast.Call(ast.Name(default_of, ast.Load()), [function, ast.Constant(name)], [])

    positional = [*made.posonlyargs, *made.args]
    named = positional[len(positional) - len(made.defaults) :]
    made.defaults = [bare(default, argument.arg) for default, argument in zip(made.defaults, named, strict=True)]
    made.kw_defaults = [
        bare(default, argument.arg) if default else None
        for default, argument in zip(made.kw_defaults, made.kwonlyargs, strict=True)
    ]
    return made
