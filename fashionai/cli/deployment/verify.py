"""fashionai verify."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """
\b
Examples:
  fashionai export --run runs/skirt --format bundle --out skirt.zip
  fashionai verify skirt.zip
"""


@click.command(epilog=EPILOG)
@click.argument("bundle", type=click.Path(path_type=Path), metavar="BUNDLE")
def command(bundle: Path) -> None:
    """Verify a bundle that fashionai export has written.

    Each byte is checked against the checksums, and predict.py computes the
    bundle's samples: their probabilities must be the stored ones.
    """
    from fashionai.bundles.verify import verify
    from fashionai.errors import counted

    done = verify(bundle)
    click.echo(f"{bundle}: {counted(done.files, 'file')} as written")
    click.echo(
        f"{counted(done.images, 'sample')}: probabilities differ from the stored ones by at most "
        f"{done.difference:.1g}"
    )
    if not done.own_program:
        click.echo(
            "predict.py in it is of another version of fashionai: this version's was run", err=True
        )
