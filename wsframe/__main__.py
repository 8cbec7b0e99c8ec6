"""``python -m wsframe`` is ``wsframe``."""

from wsframe.cli import main

main()
