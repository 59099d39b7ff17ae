"""What PyYAML's complaints mean, in sentences for the reader of a spec."""

from __future__ import annotations

import re
from dataclasses import dataclass

from teaspec.compiler.yaml12.events import MalformedError


@dataclass(frozen=True)
class Complaint:
    """One complaint in our words.

    Attributes:
        code: Diagnostic code.
        message: What is wrong; `{found}` stands for the character at the place.
        here: Remark at the place where PyYAML gave up; empty where that does not help.
        began: Remark at the place where the thing began that could not be read; empty for none.
        help: What to do about it.
    """

    code: str
    message: str
    here: str = ""
    began: str = ""
    help: tuple[str, ...] = ()

    def about(self, found: str) -> str:
        """The message, with what stands at the place.

        Args:
            found: The character; empty or blank where the line, or the text, ends.
        """
        if "{found}" not in self.message:
            return self.message
        if not found.strip():
            return "a value is missing where the line ends"
        return self.message.replace("`{found}`", "a backquote" if found == "`" else f"`{found}`")


_QUOTE_HELP = ("a text that holds `: ` or ` #`, or begins with one of `{}[]&*!|>%@,'\"` or a backquote, needs quotes",)
_INDENT_HELP = ("keys of one mapping, and items of one list, begin in the same column",)

# Pattern over "context; problem". The first that is found counts.
_COMPLAINTS: tuple[tuple[str, Complaint], ...] = (
    (
        r"found character '\\t'",
        Complaint("tab-character", "a tab stands where only spaces may", "a tab", help=("use spaces",)),
    ),
    (
        r"flow sequence; .*got '<(stream end|document (start|end))>'",
        Complaint("yaml-syntax", "a `[` is never closed", "", "opened here, and still open where the text ends"),
    ),
    (
        r"flow mapping; .*got '<(stream end|document (start|end))>'",
        Complaint("yaml-syntax", "a `{` is never closed", "", "opened here, and still open where the text ends"),
    ),
    (
        r"flow sequence; .*got ':'",
        Complaint("yaml-syntax", "a `:` stands where a list goes on", "this `:`", "is this `[` closed?", _QUOTE_HELP),
    ),
    (
        r"flow sequence; expected ','",
        Complaint("yaml-syntax", "expected `,` or `]` in this list", "found this", "the list begins here", _QUOTE_HELP),
    ),
    (
        r"flow mapping; expected ','",
        Complaint("yaml-syntax", "expected `,` or `}` in this mapping", "found this", "it begins here", _QUOTE_HELP),
    ),
    (
        r"quoted scalar; found unexpected (end of stream|document separator)",
        Complaint(
            "yaml-syntax", "a quoted text is never closed", "", "opened here, and still open where the text ends"
        ),
    ),
    (
        r"found unknown escape character|expected escape sequence|number that is too large",
        Complaint(
            "yaml-syntax",
            "a `\\` in double quotes begins no escape that YAML knows",
            "here",
            help=("single quotes take a backslash as it is",),
        ),
    ),
    (
        r"could not find expected ':'",
        Complaint(
            "yaml-syntax", "a key is not followed by `: `", "", "this key", ("the `:` behind a key needs a space",)
        ),
    ),
    (
        r"mapping values are not allowed here",
        Complaint("yaml-syntax", "a `:` stands where no key can end", "this `:`", help=_QUOTE_HELP + _INDENT_HELP),
    ),
    (
        r"(sequence entries|mapping keys) are not allowed here",
        Complaint("yaml-syntax", "a list item or key cannot begin here", "here", help=_INDENT_HELP),
    ),
    (
        r"expected <block end>, but found '[]},]'",
        Complaint("yaml-syntax", "this belongs to no list or mapping in brackets", "here"),
    ),
    (
        r"expected <block end>, but found '[?:]'",
        Complaint("yaml-syntax", "no key stands before this", "here", help=_QUOTE_HELP),
    ),
    (
        r"expected <block end>",
        Complaint(
            "yaml-syntax", "this does not fit the indentation around it", "here", "it follows this", _INDENT_HELP
        ),
    ),
    (
        r"scanning a block scalar",
        Complaint("yaml-syntax", "after `|` or `>` the text begins on the next line", "here", "", _QUOTE_HELP),
    ),
    (r"scanning an? (anchor|alias)", Complaint("alias-or-anchor", "a spec has no anchors and aliases", "here")),
    (r"scanning a tag|parsing a node; found undefined tag", Complaint("yaml-tag", "a spec has no YAML tags", "here")),
    (r"directive", Complaint("yaml-directive", "a spec has no YAML directives", "here")),
    (
        r"found character|expected the node content",
        Complaint("yaml-syntax", "no value can begin with `{found}`", "here", help=_QUOTE_HELP),
    ),
    (
        r"expected '<document start>'",
        Complaint("yaml-syntax", "the spec has ended before this", "here", help=_INDENT_HELP),
    ),
)


def explain(error: MalformedError) -> Complaint:
    """Finds our words for a complaint.

    Args:
        error: What PyYAML said.

    Returns:
        The complaint; for one that is not known, a sentence that quotes PyYAML.
    """
    said = f"{error.context}; {error.problem}"
    for pattern, complaint in _COMPLAINTS:
        if re.search(pattern, said):
            return complaint
    return Complaint("yaml-syntax", f"the text is not YAML: {error.problem}", "here")
