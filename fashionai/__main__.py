"""python -m fashionai."""

from fashionai.cli import main

main()
