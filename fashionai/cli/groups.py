"""Click groups, which are commands with subcommands."""

from __future__ import annotations

from typing import Optional

import click

from fashionai.errors import nearest


class CommandGroup(click.Group):
    """A group whose error for an unknown command names the nearest one, in all click versions."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[Optional[str], Optional[click.Command], list[str]]:
        """The command that the first argument names. Raises UsageError if it is unknown."""
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            ctx.fail(f"No such command '{args[0]}'. {nearest(args[0], names)}")
        return super().resolve_command(ctx, args)
