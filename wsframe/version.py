"""The version of this release; the build and ``wsframe --version`` read it from here."""

__version__ = "0.1.0"
