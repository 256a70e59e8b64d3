"""`python -m icl_bench`: the command line, for launchers that start modules."""

from icl_bench.cli import main

main()
