"""The cells of Chai et al. 2020: what is trained and measured, before anything is compared.

* ``lenet``: the LeNet trained (Figs. 7, 8), and the spectra of its first steps (Figs. 6, 8).
* ``powers``: powers of channels around each norm (Fig. 5).
* ``scaled_inputs``: an autocorrelation before and after its channels are scaled (Fig. 4).
* ``linear_descent``: one convolution trained alone (§3.1).
* ``noise``: Fig. 9's arrangements, trained with noise (Fig. 10) and compared step by step with NLMS (§4).

A cell's name is its import path of the day it was written: finished work is kept under it, wherever the code moves.
"""
