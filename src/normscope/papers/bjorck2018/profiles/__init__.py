"""How large each experiment of Bjorck et al. 2018 is at each scale."""
