"""Solving ``(H + δI) u = v``: one solver a file behind :mod:`dealrec.influence.solvers.interface`."""
