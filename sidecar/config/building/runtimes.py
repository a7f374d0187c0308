"""The runtimes of a config."""

from collections.abc import Collection
from dataclasses import replace

from sidecar.config.building.choices import session_bounds
from sidecar.config.building.options import can_use, options
from sidecar.config.building.part import Part
from sidecar.config.model import Runtime, Warm
from sidecar.config.schemas.schema import Schema


def runtimes(root: Part, schema: Schema, available: Collection[str]) -> dict[str, Runtime]:
    """The runtimes by name. One whose built-in type is not `available` is a problem."""
    found: dict[str, Runtime] = {}
    for part in root.parts("runtimes"):
        type_ = part.get("type")
        if type_ in available or ("runtime", type_) in schema.others:
            if can_use(part, schema, "runtime", type_, part.value_at("type")):
                found[str(part.place[-1])] = _runtime(part, schema)
        elif part.has("type"):
            message = f"runtimes of type {type_} cannot run here"
            hint = f"this version runs {', '.join(sorted(available))}"
            part.problem("runtime-unavailable", message, "type", hint=hint)
    return found


def _runtime(part: Part, schema: Schema) -> Runtime:
    env, turns = part.part("env"), part.get("concurrent_turns")
    return Runtime(
        name=str(part.place[-1]),
        type=part.data["type"],
        options=options(part, schema, "runtime", part.data["type"]),
        args=part.texts("args"),
        env={name: env.lazy(name) for name in env.data if env.has(name)},
        inherit_env=part.texts("inherit_env"),
        concurrent_turns=None if turns is None else int(turns),
        model=part.get("model"),
        effort=part.get("effort"),
        session=session_bounds(part.part("session")),
        memory_max=part.memory("memory_max"),
        nice=int(part.get("nice", 0)),
        warm=_warm(part),
    )


def _warm(part: Part) -> Warm | None:
    if part.get("warm") is None:
        return None
    warm = part.part("warm")
    default = Warm(int(warm.get("max", 1)))
    return replace(default, idle=warm.duration("idle", default.idle))
