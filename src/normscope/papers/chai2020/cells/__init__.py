"""The cells of Chai et al. 2020: what is trained and measured, before anything is compared.

* ``lenet``: the LeNet trained (Figs. 7, 8), and the spectra of its first steps (Figs. 6, 8).
* ``powers``: powers of channels around each norm (Fig. 5).
* ``scaled_inputs``: an autocorrelation before and after its channels are scaled (Fig. 4).
* ``linear_descent``: one convolution trained alone (§3.1).
* ``noise``: Fig. 9's arrangements, trained with noise (Fig. 10) and compared step by step with NLMS (§4).

These cells' names are the import paths that they had before cells had names: finished work is kept under them. A new
cell's name is ``chai2020.<function>``.
"""
