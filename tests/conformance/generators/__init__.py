"""Seeded generators of the conformance suite, one function per case."""
