"""The runtimes of a config."""

from collections.abc import Collection

from sidecar.config.model import Runtime
from sidecar.config.options import options
from sidecar.config.part import Part
from sidecar.config.schema import Schema


def runtimes(root: Part, schema: Schema, available: Collection[str]) -> dict[str, Runtime]:
    """The runtimes by name. One whose type is not `available` is a problem."""
    found: dict[str, Runtime] = {}
    for part in root.parts("runtimes"):
        if part.get("type") in available:
            found[str(part.place[-1])] = _runtime(part, schema)
        elif part.has("type"):
            message = f"runtimes of type {part.data['type']} cannot run here"
            hint = f"this version runs {', '.join(sorted(available))}"
            part.problem("runtime-unavailable", message, "type", hint=hint)
    return found


def _runtime(part: Part, schema: Schema) -> Runtime:
    env, turns = part.part("env"), part.get("concurrent_turns")
    return Runtime(
        name=str(part.place[-1]),
        type=part.data["type"],
        options=options(part, schema, "runtime"),
        args=part.texts("args"),
        env={name: env.lazy(name) for name in env.data if env.has(name)},
        inherit_env=part.texts("inherit_env"),
        concurrent_turns=None if turns is None else int(turns),
    )
