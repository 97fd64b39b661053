"""Is a coreset any good? Experiments on selectors, each a command: see ``benchmarks/RESULTS.md``."""
