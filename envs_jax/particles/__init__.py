"""Worlds of particles that cover landmarks, bump into each other and tell each other where to go.

The multi-agent particle environments of Mordatch & Abbeel (2018, arXiv:1703.04908) and Lowe et al.
(2017, arXiv:1706.02275), as the packages mpe2 1.1.1 and, by an argument, PettingZoo 1.22.2 have
them. Lengths in metres, masses in kilograms, by courtesy: the worlds have no units of their own.
"""
