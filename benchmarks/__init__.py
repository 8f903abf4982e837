"""Figures that anyone can take: `make bench`. Each is a ratio to something measured in the same run."""
