"""``python -m fer_opt`` is the ``fer-opt`` command."""

from fer_opt.cli import main

main()
