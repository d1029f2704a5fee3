"""Labels new issues from what a repository's own maintainers labelled before."""

__version__ = "0.1.0"
