"""`sidecar completion`: what makes a shell complete commands, options and their values."""

import argparse
import shlex
from collections.abc import Iterator, Mapping
from typing import NamedTuple

SHELLS = ("bash", "zsh", "fish")

_BASH = """\
# Complete `sidecar` in bash: source <(sidecar completion bash)
_sidecar() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} way="" words="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$way ${COMP_WORDS[i]}" in
%(ways)s
        esac
    done
    case "$way $before" in
%(values)s
    esac
    case "$way" in
%(words)s
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    if [[ $word != -* && $way != "" ]]; then COMPREPLY+=($(compgen -f -- "$word")); fi
}
complete -o filenames -F _sidecar sidecar
"""
_ZSH = """\
#compdef sidecar
# Complete `sidecar` in zsh: source <(sidecar completion zsh)
autoload -U +X bashcompinit && bashcompinit
"""


class Level(NamedTuple):
    """What can follow a command: commands and options with what they do, and the values of those
    options that have a choice."""

    words: Mapping[str, str]
    values: Mapping[str, tuple[str, ...]]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("shell", choices=SHELLS)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    from sidecar.cli import COMMANDS, build_parser

    levels = dict(_levels(build_parser(COMMANDS), ""))
    match arguments.shell:
        case "bash":
            print(_bash(levels), end="")
        case "zsh":
            print(_ZSH + _bash(levels), end="")
        case "fish":
            print("\n".join(_fish(levels)))
    return 0


def _levels(parser: argparse.ArgumentParser, way: str) -> Iterator[tuple[str, Level]]:
    """Each command, by the words that lead to it with a space before each, and what it takes."""
    words: dict[str, str] = {}
    values: dict[str, tuple[str, ...]] = {}
    # argparse tells what a parser takes in no other way.
    for action in parser._actions:  # noqa: SLF001 -- see above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 -- see above
            helps = {one.dest: one.help or "" for one in action._get_subactions()}  # noqa: SLF001
            for name, command in action.choices.items():
                words[name] = helps.get(name, "")
                yield from _levels(command, f"{way} {name}")
            continue
        choices = tuple(map(str, action.choices or ()))
        for option in action.option_strings:
            words[option] = _summary(action)
            if choices:
                values[option] = choices
        if not action.option_strings:
            words.update(dict.fromkeys(choices, ""))
    yield way, Level(words, values)


def _summary(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%").partition("\n")[0]


def _bash(levels: Mapping[str, Level]) -> str:
    ways = [f"            {shlex.quote(way)}) way={shlex.quote(way)} ;;" for way in levels if way]
    values = [
        f"        {shlex.quote(f'{way} {option}')})"
        f' COMPREPLY=($(compgen -W {shlex.quote(" ".join(choices))} -- "$word")); return ;;'
        for way, level in levels.items()
        for option, choices in level.values.items()
    ]
    words = [
        f"        {shlex.quote(way)}) words={shlex.quote(' '.join(level.words))} ;;"
        for way, level in levels.items()
    ]
    parts = {"ways": ways, "values": values, "words": words}
    return _BASH % {name: "\n".join(lines) for name, lines in parts.items()}


def _fish(levels: Mapping[str, Level]) -> Iterator[str]:
    yield "# Complete `sidecar` in fish: sidecar completion fish | source"
    for way, level in levels.items():
        *steps, last = way.split() or [""]
        tests = [f"__fish_seen_subcommand_from {step}" for step in (*steps, last) if step]
        commands = [word for word in level.words if not word.startswith("-")]
        below = [word for word in commands if f"{way} {word}" in levels]
        if below:
            tests.append(f"not __fish_seen_subcommand_from {' '.join(below)}")
        condition = shlex.quote("; and ".join(tests) or "true")
        for word, summary in level.words.items():
            named = f"-d {shlex.quote(summary)}" if summary else ""
            if word.startswith("-"):
                flag = f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}"
                taken = level.values.get(word)
                wanted = f" -xa {shlex.quote(' '.join(taken))}" if taken else ""
                yield f"complete -c sidecar -n {condition} {flag}{wanted} {named}".rstrip()
            else:
                yield f"complete -c sidecar -n {condition} -fa {word} {named}".rstrip()
