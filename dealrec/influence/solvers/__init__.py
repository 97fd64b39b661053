"""Solvers of ``(H + δI) u = v``, one per file, behind :mod:`dealrec.influence.solvers.interface`."""
