"""The names that a template uses, also in the templates that it extends, includes and imports.

What a block of the extended template uses does not count where the template replaces that block.
"""

from collections.abc import Iterator
from functools import lru_cache

from jinja2 import nodes

from sidecar.prompts.checking.references import REFERENCES, named
from sidecar.prompts.environment import BUILT_IN, ENVIRONMENT

_NONE: frozenset[str] = frozenset()


def names_used(tree: nodes.Template, replaced: frozenset[str] = _NONE) -> frozenset[str]:
    """The names in a template. `replaced` are blocks that another one has taken the place of.

    A name that the template itself defines may be among them.
    """
    found: set[str] = set()
    for node in _inside(tree, replaced):
        if isinstance(node, nodes.Name):
            found.add(node.name)
        elif isinstance(node, REFERENCES):
            gone = replaced | _own(tree) if isinstance(node, nodes.Extends) else _NONE
            for name in _built_in_names(node.template):
                found |= _built_in(name, gone)
    return frozenset(found)


@lru_cache(maxsize=1024)
def _built_in(name: str, replaced: frozenset[str]) -> frozenset[str]:
    return names_used(ENVIRONMENT.parse(BUILT_IN[name]), replaced)


def _inside(node: nodes.Node, replaced: frozenset[str]) -> Iterator[nodes.Node]:
    for child in node.iter_child_nodes():
        if not (isinstance(child, nodes.Block) and child.name in replaced):
            yield child
            yield from _inside(child, replaced)


def _own(tree: nodes.Template) -> set[str]:
    """The blocks in which a template leaves nothing of those that it replaces."""
    return {
        block.name
        for block in tree.find_all(nodes.Block)
        if all(name.name != "super" for name in block.find_all(nodes.Name))
    }


def _built_in_names(template: nodes.Node) -> list[str]:
    """The templates that an expression may mean: any, where only a run can tell."""
    names = named(template)
    return [name for name in (BUILT_IN if names is None else names) if name in BUILT_IN]
