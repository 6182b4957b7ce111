"""Chai, Pilanci & Murmann 2020: *Separating the Effects of Batch Normalization on CNN Training Speed and Stability
Using Classical Adaptive Filter Theory*. ``cells/`` holds what is trained and measured, ``readings/`` what claims and
figures read from the table, ``profiles`` how large an experiment is at each scale; every other file is one figure.
"""
