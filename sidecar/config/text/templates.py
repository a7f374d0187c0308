"""The templates of a config: where they stand, and what decides whether one is right."""

import hashlib
from collections.abc import Iterator

from sidecar.config.model import Config, Context, Route, Template

TEMPLATES = ("system_context", "user_turn", "recovery")
"""The keys of a route that are templates."""


def templates(config: Config) -> Iterator[tuple[str, Template]]:
    """All templates of a configuration with their places in it."""
    for number, route in enumerate(config.routes):
        for key, template in templates_of(route):
            yield f"routes[{number}].{key}", template
    if config.default_route is not None:
        for key, template in templates_of(config.default_route):
            yield f"default_route.{key}", template


def templates_of(route: Route) -> Iterator[tuple[str, Template]]:
    """The templates of a route by their key."""
    for key in TEMPLATES:
        template = getattr(route, key)
        if template is not None:
            yield key, template


def fingerprint(template: Template, draws_on: Context) -> bytes:
    """The hash of all that decides whether a template is right: its text, and the names that it
    may use."""
    told = repr((template.text, draws_on.env, sorted(draws_on.others)))
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest()
