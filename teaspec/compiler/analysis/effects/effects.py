"""What one statement does to the places that the function it stands in keeps values in.

Everything here is conservative in the direction that keeps code exact: a read, a binding or a change that *may* happen
is reported; a name counts as definitely bound (`kills`) only where every normal way through the statement binds it.

Attributes of the model are places too, so that a store to one and a read of it are ordered like those of any local
name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from teaspec.compiler.forms.places import Local, Place


@dataclass(frozen=True)
class Effects:
    """The effects of a statement or of a run of statements.

    Attributes:
        reads: Places whose value from before the statement may be read.
        binds: Places that may be bound to another value (or unbound, by `del`).
        kills: Names that are bound on every normal way through.
        changes: Places whose object may be changed in place.
        captures: Places that a lambda, generator or nested function may read later than the statement runs.
        aliases: Pairs of places that may share an object afterwards.
        unbinds: Names that may be unbound (`del`, the name of an `except`).
        scoped: Every name bound anywhere inside, comprehension targets and parameters of nested functions included.
        external: It may do something that is seen from outside: a bare call, a store on the model.
        random: It may draw random numbers.
        raises: It may raise by a `raise` or `assert` of its own.
        returns: It may return from the function.
    """

    reads: frozenset[Place] = frozenset()
    binds: frozenset[Place] = frozenset()
    kills: frozenset[Local] = frozenset()
    changes: frozenset[Place] = frozenset()
    captures: frozenset[Place] = frozenset()
    aliases: frozenset[tuple[Place, Place]] = frozenset()
    unbinds: frozenset[Local] = frozenset()
    scoped: frozenset[Local] = frozenset()
    external: bool = False
    random: bool = False
    raises: bool = False
    returns: bool = False
    ends: bool = field(default=False, compare=False)
    """Whether control never goes on behind it (it returns or raises on every way)."""

    def then(self, later: Effects) -> Effects:
        """The effects of this followed by `later`."""
        if later is NOTHING:
            return self
        if self is NOTHING:
            return later
        reads, ends = self.reads | (later.reads - self.kills), self.ends or later.ends
        return _merged(self, later, reads=reads, kills=self.kills | later.kills, ends=ends)

    def either(self, other: Effects) -> Effects:
        """The effects of one of the two, not known which."""
        if self.ends or other.ends:
            kills = (other if self.ends else self).kills if not (self.ends and other.ends) else self.kills | other.kills
        else:
            kills = self.kills & other.kills
        return _merged(self, other, reads=self.reads | other.reads, kills=kills, ends=self.ends and other.ends)

    def maybe(self) -> Effects:
        """The effects of this if it may also not run, or stop in the middle."""
        return self.either(NOTHING) if self.kills or self.ends else self


NOTHING = Effects()
"""What does nothing, to begin with. Whoever has none gives this one, so that nothing is joined with it."""


def _merged(a: Effects, b: Effects, *, reads: frozenset[Place], kills: frozenset[Local], ends: bool) -> Effects:
    """The union of two effects in every field but those in which their order matters."""
    # Written out, since this is what the compiler does most.
    return Effects(
        reads=reads,
        binds=a.binds | b.binds,
        kills=kills,
        changes=a.changes | b.changes,
        captures=a.captures | b.captures,
        aliases=a.aliases | b.aliases,
        unbinds=a.unbinds | b.unbinds,
        scoped=a.scoped | b.scoped,
        external=a.external or b.external,
        random=a.random or b.random,
        raises=a.raises or b.raises,
        returns=a.returns or b.returns,
        ends=ends,
    )
