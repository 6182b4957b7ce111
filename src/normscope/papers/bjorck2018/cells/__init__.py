"""The cells of Bjorck et al. 2018: what is trained and measured, before anything is compared.

``recipe`` makes the paper's network and its batch; every other file measures one thing.
"""
