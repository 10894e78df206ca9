"""The click group that loads a verb when it is called, and how a verb speaks.

It knows no project: `orchestra --help` is read more often than anything else and shall be quick.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import click

from orchestra import __version__, streams
from orchestra.errors import EXIT_OK, UsageError
from orchestra.printing import as_json, printed
from orchestra.suggest import did_you_mean

EPILOG = """\b
Examples:
  orchestra init                   write specs/suite.yaml to start from
  orchestra compile                regenerate dodo.py, the plan, commands and docs
  orchestra compile --check        exit with 1 if an output differs from its spec
  orchestra show B004              print a test as it will run
  orchestra run B004..B009         run some tests
  doit cli:B004                    the same through doit

\b
Exit codes: 0 all good, 1 tests or gates failed or drift, 2 spec or usage invalid,
3 servers, tools, browser or machine not healthy, 70 a bug of orchestra, 124 the run goes on (wait),
130 and 143 interrupted.

\b
Completion: eval "$(_ORCHESTRA_COMPLETE=bash_source orchestra)"   (or zsh_source, fish_source)
"""


class Verbs(click.Group):
    """A group whose commands are known by name and one line, and imported when one is called."""

    def __init__(
        self, table: Mapping[str, tuple[str, str]], load: Callable[[str], click.Command], **options: Any
    ) -> None:
        super().__init__(**options)
        self._table = table
        self._load = load

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order in which people meet them."""
        del ctx
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the verb, imported."""
        if cmd_name not in self._table:
            ctx.fail(f'unknown verb "{cmd_name}"{did_you_mean(cmd_name, self._table)}')
        return self._load(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the verb. Ignore EPIPE."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            streams.deafen()
            return EXIT_OK

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs, without importing any of them."""
        del ctx
        with formatter.section("Verbs"):
            formatter.write_dl([(name, line) for name, (_, line) in self._table.items()])


def say(text: str, *, end: str = "\n") -> None:
    """Write text to stdout, harmless. When its reader has gone (`| head`), the verb goes on to its exit code without one."""
    say_data(printed(text), end=end)


def say_json(text: str | bytes, *, end: str = "\n") -> None:
    """Write JSON to stdout, as `say`."""
    say_data(as_json(text if isinstance(text, str) else text.decode()), end=end)


def say_data(text: str, *, end: str = "\n") -> None:
    """Write to stdout what is harmless already: made by orchestra alone, or escaped when it was made."""
    try:
        click.echo(text, nl=False)
        click.echo(end, nl=False)
    except BrokenPipeError:
        streams.deafen()


def warn(text: str, *, end: str = "\n") -> None:
    """Write text for people to stderr, harmless."""
    click.echo(f"{printed(text)}{end}", nl=False, err=True)


def _go_to(ctx: click.Context, param: click.Parameter, folder: str | None) -> str | None:
    """Work in the folder of -C from here on: every later path on the command line is relative to it."""
    del ctx, param
    if folder is not None:
        os.chdir(folder)
    return folder


def invoke(table: Mapping[str, tuple[str, str]], load: Callable[[str], click.Command], arguments: list[str]) -> int:
    """Run the command line and return its exit code. Errors of ours pass; those of click are translated.

    Raises:
        OrchestraError: an error of a verb or of the command line.
    """
    group = Verbs(
        table,
        load,
        name="orchestra",
        params=[
            click.Option(
                ["-C", "folder"],
                metavar="DIR",
                type=click.Path(exists=True, file_okay=False),
                is_eager=True,
                callback=_go_to,
                help="Working folder (default: the current one).",
            ),
        ],
        help="One YAML spec, compiled to doit tasks, slash commands and docs that cannot drift.",
        epilog=EPILOG,
        subcommand_metavar="VERB [ARGUMENTS]...",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    group = click.version_option(__version__, prog_name="orchestra", message="%(prog)s %(version)s")(group)
    try:
        result = group.main(arguments, prog_name="orchestra", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort as abort:
        raise KeyboardInterrupt from abort
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        raise in_our_words(error) from error
    return result if isinstance(result, int) else 0


def in_our_words(error: click.ClickException) -> UsageError:
    """Return the error of click as one of ours."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    verb = context.command_path if context is not None else "orchestra"
    hint = f"see `{verb} --help`"
    if isinstance(error, click.NoSuchOption):
        known = [name for param in context.command.params for name in param.opts] if context is not None else []
        return UsageError(f'unknown option "{error.option_name}"{did_you_mean(error.option_name, known)}', hint)
    message = error.format_message().rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint)
