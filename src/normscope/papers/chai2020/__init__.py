"""Chai, Pilanci & Murmann 2020: *Separating the Effects of Batch Normalization on CNN Training Speed and Stability
Using Classical Adaptive Filter Theory*.

The convolution's weight update has natural modes whose speed and stability rest on the eigenvalues of its input's
autocorrelation matrix. Raising the smallest eigenvalues makes training fast at low rates; lowering the largest keeps
it stable at high ones. Amplify does only the first, Suppress only the second, batch normalization both.
"""
