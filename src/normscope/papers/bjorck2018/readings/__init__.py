"""What claims and figures of Bjorck et al. 2018 read from the table."""
