"""Tests of router.stream."""
