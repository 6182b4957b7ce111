"""What the claims and figures of Chai et al. 2020 read from the table, where several files need it."""
