"""
What doteval costs, measured against what the same work costs without it.

    python -m tests.benchmarks                 # everything that takes minutes, not tens of them
    python -m tests.benchmarks rows start      # only these parts
    python -m tests.benchmarks --quick         # fewer rounds and rows: a look, not a verdict
    python -m tests.benchmarks --million       # also a million records: memory and reading

Each figure is a ratio, or a plain amount, taken in one run on one machine, and its limit stands
beside it. What is compared is measured in turns, and the least disturbed turn of each counts:
whatever else the machine does can only add time.
"""
