"""The autocorrelation of a convolution's input patches."""
