"""`triage completion`: print a script that completes commands, options and choices in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from triage.console import log

SHELLS = ("bash", "zsh", "fish")
BASH = """\
# In ~/.bashrc: source <(triage completion bash)
_triage() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} place="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$place/${{COMP_WORDS[i]}}" in
      {steps}) place="${{place:+$place/}}${{COMP_WORDS[i]}}" ;;
    esac
  done
  case "$place $prev" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -F _triage triage"""
ZSH = """\
# In ~/.zshrc: source <(triage completion zsh)
autoload -U +X compinit && compinit
autoload -U +X bashcompinit && bashcompinit
"""


@dataclass(frozen=True)
class Place:
    """A command, or an action of one, as the words that lead to it; the program itself has none."""

    words: tuple[str, ...]
    parser: argparse.ArgumentParser

    @property
    def actions(self) -> dict[str, str]:
        """The words that may follow, with their help."""
        below = (action for action in self.parser._actions if isinstance(action, argparse._SubParsersAction))
        return {
            choice.dest: choice.help or ""
            for group in below
            for choice in group._choices_actions
            if choice.help != argparse.SUPPRESS
        }

    @property
    def options(self) -> list[argparse.Action]:
        """The options that are shown."""
        return [a for a in self.parser._actions if a.option_strings and a.help != argparse.SUPPRESS]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the argument."""
    parser.add_argument("shell", choices=SHELLS, help="shell to print the script for")
    parser.epilog = (
        "For bash: `source <(triage completion bash)` in ~/.bashrc; for zsh: `source <(triage completion zsh)` in "
        "~/.zshrc; for fish: `triage completion fish | source`."
    )


def parse(args: argparse.Namespace) -> str:
    """The shell of a command line."""
    shell: str = args.shell
    return shell


def run(shell: str) -> int:
    """Print the script."""
    from triage.cli import parser

    places = list(_places((), parser()))
    log("\n".join(_fish(places)) if shell == "fish" else (ZSH if shell == "zsh" else "") + _bash(places))
    return 0


def _places(words: tuple[str, ...], parser: argparse.ArgumentParser) -> Iterator[Place]:
    yield Place(words, parser)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from _places((*words, name), below)


def _bash(places: list[Place]) -> str:
    steps = "|".join(f'"{"/".join(place.words[:-1])}/{place.words[-1]}"' for place in places if place.words)
    # The choices of an option come before the options of its command.
    cases = [case for place in places for case in _bash_choices(place)]
    for place in places:
        names = [option.option_strings[-1] for option in place.options]
        offered = " ".join([*place.actions, *_positional_choices(place), *names])
        cases.append(f'    "{"/".join(place.words)} "*) words="{offered}" ;;')
    return BASH.format(steps=steps, cases="\n".join(cases))


def _bash_choices(place: Place) -> Iterator[str]:
    for option in place.options:
        if option.choices:
            offered = " ".join(map(str, option.choices))
            yield f'    "{"/".join(place.words)} {option.option_strings[-1]}") words="{offered}" ;;'


def _positional_choices(place: Place) -> list[str]:
    return [
        str(choice)
        for action in place.parser._actions
        if not action.option_strings and not isinstance(action, argparse._SubParsersAction)
        for choice in action.choices or ()
    ]


def _fish(places: list[Place]) -> Iterator[str]:
    yield "# triage completion fish | source, or into ~/.config/fish/completions/triage.fish"
    for place in places:
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in place.words)
        below = f"; and not __fish_seen_subcommand_from {' '.join(place.actions)}" if place.actions else ""
        here = f"{seen}{below}" if seen else "__fish_use_subcommand"
        for name, text in place.actions.items():
            yield f"complete -c triage -f -n '{here}' -a {name} -d {_quoted(text)}"
        for choice in _positional_choices(place):
            yield f"complete -c triage -f -n '{here}' -a {choice}"
        for option in place.options:
            takes = "" if option.nargs == 0 else " -r"
            choices = f" -f -a {_quoted(' '.join(map(str, option.choices)))}" if option.choices else ""
            name = option.option_strings[-1].lstrip("-")
            kind = "-l" if option.option_strings[-1].startswith("--") else "-s"
            yield f"complete -c triage -n '{here}' {kind} {name}{takes}{choices} -d {_quoted(option.help or '')}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
