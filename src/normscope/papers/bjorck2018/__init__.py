"""Bjorck, Gomes, Selman & Weinberger 2018: *Understanding Batch Normalization*. ``cells/`` holds what is trained and
measured, ``readings/`` what claims and figures read from the table, ``profiles/`` how large an experiment is at each
scale, ``layers`` the paper's numbers of layers; every other file is one figure or table.
"""
