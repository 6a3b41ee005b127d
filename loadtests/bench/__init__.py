"""Speed, as ratios, each question in a file of its own: `python -m loadtests.bench`.

Machines are shared and drift, so nothing here is absolute. The candidates of a
comparison run in turn, A B C A B C ..., and each figure is the median of the
rounds' ratios, with the lowest and the highest beside it. The ratios of CPU time
are of the server's process, user and system together: they hold on a busy machine.
"""
