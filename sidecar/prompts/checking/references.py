"""The templates that a template names, which are built-in ones."""

from collections.abc import Iterable, Iterator

from jinja2 import nodes

from sidecar.config.problems import similar
from sidecar.prompts.checking.attributes import Found
from sidecar.prompts.environment import BUILT_IN

REFERENCES = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
"""The nodes that name one."""
_SUFFIX = ".j2"


def unknown(found: Iterable[nodes.Node]) -> Iterator[Found]:
    """The names, among a template's nodes, that no template has. Of a list one will do."""
    for node in found:
        if isinstance(node, REFERENCES) and not getattr(node, "ignore_missing", False):
            names = named(node.template)
            if names and not any(name in BUILT_IN for name in names):
                yield Found(no_template(names[-1]), node.lineno, names[-1], names[-1])


def named(template: nodes.Node) -> list[str] | None:
    """The names of which one is taken; None where only a run can tell."""
    parts = template.items if isinstance(template, nodes.Tuple | nodes.List) else [template]
    names = [part.value for part in parts if isinstance(part, nodes.Const)]
    return names if len(names) == len(parts) and all(type(one) is str for one in names) else None


def no_template(name: str) -> str:
    """That no template has a name, with what was meant, or what there is."""
    folder, _, file = name.removesuffix(_SUFFIX).rpartition("/")
    known = [one.removesuffix(_SUFFIX).split("/") for one in BUILT_IN]
    there = [last for of, last in known if of == folder]
    last = similar(file, there) if there else file
    meant = [f"{of}/{one}{_SUFFIX}" for of, one in known if one == last and of == (folder or of)]
    if meant:
        told = f"did you mean {' or '.join(map(repr, meant))}?"
    else:
        told = f"there are the built-in ones, none of your own: {', '.join(BUILT_IN)}"
    return f"no template is named {name!r}: {told}"
