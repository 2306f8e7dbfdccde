"""
What numbers say, and how sure that is: pure functions, numbers in and numbers out.

Nothing here knows scores, records or stores; nothing is random unless a seed says so. Where there
is too little data for a figure it is None, never an invented number. Confidence levels are of the
whole interval: 0.95 leaves 2.5 % on either side.
"""
