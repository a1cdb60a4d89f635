"""What must hold while things go wrong: workers killed, frozen, calls spoiled on the wire.

`rig.py` is the stand: a real PostgreSQL whose clock can be put ahead for every process, the server
that stands for AWS with its faults, a worker in a process of its own, and the judge.
"""
