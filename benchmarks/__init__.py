"""The benchmarks: gradplan beside other systems, with equal weights, batches and threads.

``python -m benchmarks`` runs everything; ``--help`` lists the choices. How a figure is made:

* Every system runs in a child process of the environment that has it (``children.py``,
  ``child.py``), a fresh one for each workload, so that first-step time and peak memory are its own.
* All start from the same weights and see the same 16 batches (``workloads.py``). The losses of the
  first 20 steps, or the results of a forward pass, must agree before anything is timed.
* The children are then timed in turn, in several rounds: one computes while the others sleep. A
  figure is the best block of at least 2 ms; the median is kept beside it in ``results.json``.
* Everything is held to the same number of CPUs by affinity and told the same number of threads.
"""
